mnn convert cnn.onnx -o c.mnn -q >/dev/null
mnn quant c.mnn -o q.mnn --calibration samples --report r.json --report r.html -q | tail -1
python3 -c "
import json
d = json.load(open(\"r.json\"))
print(d[\"int8_mac_share\"], len(d[\"layers\"]) >= 3, d[\"outputs\"][0][\"snr_db\"] > 15)
s = [l[\"contribution\"][\"snr_db\"] for l in d[\"layers\"]]
print(s == sorted(s))"
grep -c "http" r.html || true
