# Schemes of single layers, by flag and by mnn.json.
schemes() { python3 -c "
import json, sys
d = json.load(sys.stdin)
print(d['method'], sorted({(l['name'], l['scheme']) for l in d['layers']}))"; }
q() { mnn quant cnn.onnx --calibration samples --method minmax "$@"; }
q -o m.mnn --layer 'stem*=w8' --json 2>/dev/null | schemes
q -o m.mnn --scheme int8 --layer '*=f16' --layer classifier=int8 --keep-float residual_relu --json 2>/dev/null | schemes
q -o m.mnn --keep-float 'stem*' --json 2>/dev/null | schemes
mnn quant cnn.onnx -o m.mnn --scheme w4 --layer 'stem*=w8' --calibration samples --json 2>/dev/null | schemes
# Weights alone need no samples.
mnn quant cnn.onnx -o m.mnn --scheme w4 --layer 'stem*=w2' -q 2>&1 | sed 's/(.*)/(size)/'
for rule in 'stem_rellu=w8' 'nothing=w8' 'stem_relu=w5' 'softmax=w4' 'stem_relu' '=w4'; do
  q -o no.mnn --layer "$rule" -q 2>&1 || echo "exit $?"
done
q -o no.mnn --keep-float 'nothing*' -q 2>&1 || echo "exit $?"
mnn quant recurrent.onnx -o no.mnn --calibration sequence_samples --layer 'lstm=int8' -q 2>&1 || echo "exit $?"
mnn init cnn.onnx --dir p --calibration samples -q >/dev/null 2>&1
python3 - <<'PY'
import json
d = json.load(open("p/mnn.json"))
print(d["quantization"]["layers"], d["quantization"]["keep_float"])
d["quantization"]["layers"] = ["stem*=w8"]
d["quantization"]["keep_float"] = ["classifier"]
d["thresholds"]["fill"] = []
json.dump(d, open("p/mnn.json", "w"))
d["quantization"]["keep_floats"] = ["classifier"]
json.dump(d, open("wrong.json", "w"))
PY
(cd p && mnn quant --json 2>/dev/null) | schemes
mkdir w && cp wrong.json w/mnn.json
(cd w && mnn quant -q 2>&1) || echo "exit $?"
ls no.mnn* 2>/dev/null | wc -l
