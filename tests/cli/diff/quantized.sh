mnn quant cnn.onnx -o q.mnn --calibration samples -q >/dev/null
mnn diff cnn.onnx q.mnn --json | python3 -c "
import json, sys
d = json.load(sys.stdin)
print(d[\"same\"], d[\"added\"], d[\"removed\"], d[\"summary\"][\"constants_changed\"])
print([c[\"name\"] for c in d[\"constants\"] if \" as i8, \" in c[\"after\"] and c[\"cosine\"] > 0.999])
print([c[\"changes\"][0][\"field\"] for c in d[\"changed\"]])"
