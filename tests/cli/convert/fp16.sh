mnn convert cnn.onnx -o c.mnn -q >/dev/null
mnn convert cnn.onnx -o h.mnn --fp16 --json > r.json
python3 -c "
import json, os
d = json.load(open(\"r.json\"))[\"fp16\"]
print(d[\"constants\"], d[\"kept\"], d[\"snr_db\"] > 60, d[\"outputs\"][0][\"snr_db\"] > 50)
print(os.path.getsize(\"h.mnn\") < os.path.getsize(\"c.mnn\"))"
mkdir in && cp samples/sample_0.npy in/input_0.npy
mnn run c.mnn --inputs in --outputs in -q >/dev/null
mnn run h.mnn --inputs in --expect in --rtol 1e-2 --atol 1e-4 -q >/dev/null && echo close
mnn run h.mnn --inputs in --expect in --rtol 1e-7 --atol 1e-9 -q >/dev/null 2>&1 || echo not equal
mnn compare c.mnn h.mnn --random 1 --min-snr 50 -q | tail -1
mnn quant h.mnn -o q.mnn --calibration samples --min-snr 20 -q >/dev/null && echo quantized
