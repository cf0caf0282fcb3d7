q() { mnn quant two_units.onnx -o q.mnn --calibration samples --method minmax -q --report r.json "$@"; }
q --try --min-snr 25 | sed '1,/^promoted/!d' | grep -c '^promoted'
python3 - <<'PY'
import json
d = json.load(open("r.json"))
p = d["promotions"]
print(p["reached"], p["layers"], 0 < p["mac_share"] < 0.5, 1 < p["time"] < 1.6, d["method"].endswith(" promoted"))
print(min(s["snr_db"] for s in d["outputs"][0]["slices"]) >= 25)
PY
# A goal that is reached costs nothing.
q --try --min-snr 1 | grep -c promoted || true
q --try 2>&1 || echo "exit $?"
q --try --min-snr 190 2>&1 >/dev/null | sed 's/SNR .*below/SNR below/' || true
