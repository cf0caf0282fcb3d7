mkdir batches
python3 -c "
x = open('samples/sample_0.npy', 'rb').read()
open('batches/0.npy', 'wb').write(x[:128].replace(b'(1, 3,', b'(2, 3,') + x[128:] * 2)"
mnn init dynamic.onnx --dir p --shape x=2,3,16,16 --calibration batches | grep -A 2 "^operator"
python3 -c "
import json, hashlib
p = json.load(open(\"p/mnn.json\"))
print(p[\"source\"][\"format\"], p[\"source\"][\"sha256\"] == hashlib.sha256(open(\"dynamic.onnx\", \"rb\").read()).hexdigest())
print(p[\"inputs\"], p[\"shapes\"], p[\"targets\"], p[\"thresholds\"], p[\"calibration\"][\"path\"])"
ls p/golden
