# A scheme by layer: the cheapest that reaches the goal, whatever the threads.
q() { mnn quant cnn.onnx --calibration samples --scheme mixed "$@"; }
q -o one.mnn --min-snr 74 --max-size 95% --threads 1 -q --report one.json --report one.html >/dev/null
q -o two.mnn --min-snr 74 --max-size 95% --threads 2 -q --report two.json >/dev/null
cmp one.mnn two.mnn && echo the same for any threads
mnn compare cnn.onnx one.mnn --inputs samples --outputs-only --min-snr 70 -q >/dev/null && echo close
python3 - <<'PY'
import json
d = json.load(open("one.json"))
mix = d["mix"]
schemes = {l["name"]: l["scheme"] for l in d["layers"]}
print(d["passed"], mix["fits"], mix["reached"], mix["time_unit"], sum(p["chosen"] for p in mix["front"]))
chosen = [p for p in mix["front"] if p["chosen"]][0]
print(d["mean_sample_snr_db"] == chosen["mean_sample_snr_db"], set(schemes.values()) - {"int8"} != set())
print(all(a["bytes"] <= b["bytes"] for a, b in zip(mix["front"], mix["front"][1:])))
print(sorted(mix["culprits"][0]), d["warnings"] == json.load(open("two.json"))["warnings"])
page = open("one.html").read()
print('<svg id="pareto"' in page, page.count("<circle") == len(mix["front"]))
PY
# The smallest there is does not fit: the nearest miss is kept as rejected.
q -o no.mnn --max-size 1000 -q >/dev/null 2>&1 || echo "exit $?"
ls no.mnn*
# Out of reach within the size: the best is kept.
q -o far.mnn --max-size 80% --min-snr 120 -q 2>&1 >/dev/null | sed 's/SNR .* below/SNR below/' | grep -v 'MACs stay float'
# A limit on time is measured; nothing takes so little.
q -o slow.mnn --max-latency 0.000001 --json 2>/dev/null | python3 -c "
import json, sys
d = json.load(sys.stdin)
print(d['mix']['time_unit'], d['mix']['fits'], d['latency_ms'] > 0, d['passed'], d['output'])"
mnn quant cnn.onnx -o fast.mnn --calibration samples --method minmax --max-latency 1e8 --json | python3 -c "
import json, sys
d = json.load(sys.stdin)
print(d['latency_ms'] > 0, d['passed'])"
q -o no.mnn -q 2>&1 || echo "exit $?"
q -o no.mnn --max-size none -q 2>&1 || echo "exit $?"
q -o no.mnn --min-snr 20 --try -q 2>&1 || echo "exit $?"
# A limit relative to all in int8.
for ratio in 1.5 1; do
  q -o ratio.mnn --max-size ${ratio}xint8 -q --report ratio.json >/dev/null
  python3 - $ratio <<'PY'
import json, os, sys
d = json.load(open("ratio.json"))
limit = [t["limit"] for t in d["thresholds"] if t["name"] == "max-size"][0]
int8 = [p for p in d["mix"]["front"] if p["schemes"].endswith(" int8") and "," not in p["schemes"]]
print(d["passed"], os.path.getsize("ratio.mnn") <= int(limit.split()[0]),
      all(int(float(sys.argv[1]) * p["bytes"]) == int(limit.split()[0]) for p in int8))
PY
done
for wrong in xint8 0xint8 -1xint8 nanxint8 1.15xint9 "1 xint8"; do
  q -o no.mnn "--max-size=$wrong" -q 2>/dev/null || echo "$wrong: exit $?"
done
mnn quant cnn.onnx -o no.mnn --calibration samples --max-size 1.15xint8 -q 2>&1 || echo "exit $?"
