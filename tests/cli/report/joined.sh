# Time, error and size of each layer under one name.
mnn convert cnn.onnx -o m.mnn -q >/dev/null
mnn quant m.mnn -o q.mnn --calibration samples --report quant.json -q >/dev/null
mnn bench m.mnn q.mnn --iterations 2 --profile profile.json -q >/dev/null
mnn report --model q.mnn --quant quant.json --bench profile.json --report r.json --report r.html > out.txt
head -3 out.txt
grep -c "^stem_relu" out.txt
tail -1 out.txt
python3 - <<'END'
import json
d = json.load(open("r.json"))
quant = {l["name"]: l for l in json.load(open("quant.json"))["layers"]}
steps = json.load(open("profile.json"))["models"][1]["layers"]
rows = {l["name"]: l for l in d["layers"]}
print("every layer of quant was timed:", all(rows[n]["ms"] is not None or quant[n]["op"] == "Reshape" for n in quant))
print("errors:", all(rows[n]["contribution_snr_db"] == quant[n]["contribution"]["snr_db"] for n in quant))
print("times:", abs(sum(s["ms"] for s in steps) - d["ms"]) < 1e-9, abs(sum(r["time_share"] or 0 for r in rows.values()) - 1) < 1e-9)
print("form:", rows["stem_relu"]["form"], "bytes:", sum(r["bytes"] for r in rows.values()) == d["constant_bytes"] > 0)
print(d["timed_model"], d["tool"].split()[0], d["command"])
END
grep -o 'table id="layers"' r.html
mnn compare m.mnn q.mnn --random 1 --json | python3 -c "
import json, sys
names = {l['name'] for l in json.load(open('quant.json'))['layers']}
print('compare:', {l['name'] for l in json.load(sys.stdin)['layers']} >= names)"
