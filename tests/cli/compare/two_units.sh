mnn quant two_units.onnx -o q.mnn --calibration samples --method minmax -q >/dev/null
mnn compare two_units.onnx q.mnn --inputs samples --outputs-only --min-snr 25 --report r.json --worst 2 2>v.txt >t.txt || code=$?
cut -d' ' -f1-4 t.txt | grep -n slice
grep -A3 '^samples' t.txt | cut -c1-17
sed 's/SNR .*below/SNR below/' v.txt
python3 - <<'PY'
import json
d = json.load(open("r.json"))
print([(o["name"], o["slice"], o["passed"]) for o in d["outputs"]])
print(len(d["sample_errors"]), d["worst_sample_snr_db"] < d["mean_sample_snr_db"])
PY
mnn compare two_units.onnx q.mnn --inputs samples --outputs-only --min-snr 25 --output-slice 'y[:]' -q
exit $code
