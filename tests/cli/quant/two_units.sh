# The boxes drown the scores in the figure of the whole output: it passes, the slice does not.
mnn quant two_units.onnx -o q.mnn --calibration samples --method minmax --min-snr 25 --report r.xml --report r.json \
  --worst 1 -q >/dev/null 2>v.txt || code=$?
sed 's/.*q.mnn/q.mnn/' v.txt
python3 - <<'PY'
import json, xml.etree.ElementTree as x
whole, = json.load(open("r.json"))["outputs"]
print("the whole passes:", whole["snr_db"] > 25, "; worst:", whole["worst"], whole["slices"][1]["snr_db"] < 15)
print([(s["name"], s["snr_db"] > 25) for s in whole["slices"]])
print([(s["slices"][1]["name"]) for s in json.load(open("r.json"))["samples"]][:1])
print([c.get("name") for c in x.parse("r.xml").getroot().iter("testcase") if c.find("failure") is not None][0])
PY
# Cut by hand the whole output counts again.
mnn quant two_units.onnx -o whole.mnn --calibration samples --method minmax --min-snr 25 --output-slice 'y[:]' -q | head -1 | cut -d: -f1
mnn quant two_units.onnx -o part.mnn --calibration samples --method minmax --output-slice 'y[0,2:-1,::2]' -q 2>&1 | sed 's/^mnn: //'
mnn quant two_units.onnx -o part.mnn --calibration samples --method minmax --output-slice 'z[0]' -q 2>&1 | sed 's/^mnn: //'
mnn quant two_units.onnx -o part.mnn --calibration samples --method minmax --output-slice 'y[:,9:]' -q 2>&1 | sed 's/^mnn: //'
exit $code
