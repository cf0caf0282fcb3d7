# What a report says of each layer: bits, levels, sensitivity, time; as JSON, page and table.
mnn quant cnn.onnx -o q.mnn --calibration samples --method minmax --report r.json --report r.html --report r.csv -q >/dev/null
mnn quant cnn.onnx -o t.mnn --calibration samples --method minmax --layer-times --report t.json -q >/dev/null
cmp q.mnn t.mnn && echo "times change nothing"
mnn quant cnn.onnx -o w.mnn --calibration samples --scheme w4 --report w.json -q >/dev/null
python3 - <<'PY'
import csv, json
d, t, w = (json.load(open(n)) for n in ("r.json", "t.json", "w.json"))
print(d["format"], d["version"], d["fixes"])
weighted = [l for l in d["layers"] if l["weight_bits"]]
print([(l["weight_bits"], l["levels"], 1 < l["levels_used"] <= 256) for l in weighted])
print([(l["weight_bits"], l["levels"]) for l in w["layers"]])
print(abs(sum(l["noise_share"] for l in d["layers"]) - 1) < 1e-9, {l["time_ms"] for l in d["layers"]})
print(all(l["time_ms"] > 0 for l in t["layers"] if l["macs"]))
rows = list(csv.DictReader(open("r.csv", newline="")))
print([r["layer"] for r in rows] == [l["name"] for l in d["layers"]], rows[-1]["weight_bits"], rows[0]["time_ms"] == "")
print(all(abs(float(r["noise_share"]) - l["noise_share"]) < 1e-8 for r, l in zip(rows, d["layers"])))
page = open("r.html").read()
print(page.count('<svg class="dist"'), page.count('id="strip"'), page.count('id="bars"'), page.count('id="filter"'))
PY
# Remedies for every layer that costs much, and what they gain together.
mnn quant two_units.onnx -o f.mnn --calibration samples --method percentile --try-fixes --report f.json -q 2>/dev/null | grep -c "^remedies: tried for"
python3 - <<'PY'
import json
f = json.load(open("f.json"))["fixes"]
print(f["layers"] >= f["helped"], f["together_db"] >= 0)
PY
mnn quant cnn.onnx -o no.mnn --calibration samples --scheme w8 --try-fixes -q 2>&1 || echo "exit $?"
mnn quant cnn.onnx -o no.mnn --calibration samples --report r.pdf -q 2>&1 || echo "exit $?"
