# Samples are float32; the model is quantized as its float32 twin would be, and keeps its border.
mnn quant half.onnx -o h.mnn --calibration samples --json > h.json
mnn quant cnn.onnx -o c.mnn --calibration samples --json > c.json
python3 - <<'P'
import json
h, c = (json.load(open(f)) for f in ("h.json", "c.json"))
print(h["int8_mac_share"] == c["int8_mac_share"] == 1, abs(h["outputs"][0]["snr_db"] - c["outputs"][0]["snr_db"]) < 3)
print(h["constant_bytes_after"] < 1.1 * c["constant_bytes_after"], [i["op"] for i in h["float_islands"]] == [i["op"] for i in c["float_islands"]])
P
mnn inspect h.mnn | sed -n 2,3p
mnn compare half.onnx h.mnn --inputs samples --min-snr 15 -q | tail -1
