mnn convert cnn.onnx -o c.mnn -q >/dev/null
mnn convert cnn.onnx --no-fuse -o p.mnn -q >/dev/null
mnn compare p.mnn c.mnn --random 1 --min-snr 100 --min-cosine 0.999999 | tail -2
mnn compare cnn.onnx c.mnn --inputs samples --json > r.json
python3 -c "
import json
d = json.load(open(\"r.json\"))
print(d[\"samples\"], d[\"passed\"], d[\"first_bad_layer\"], d[\"unaligned\"])
print([l[\"name\"] for l in d[\"layers\"]], [o[\"name\"] for o in d[\"outputs\"]])
print(all(l[\"snr_db\"] == 200 and l[\"max_abs\"] == 0 for l in d[\"layers\"]))"
