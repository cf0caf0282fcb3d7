mnn bench cnn.onnx --iterations 2 --profile p.json -q >/dev/null
python3 -c "
import json
d = json.load(open(\"p.json\"))
print(sum(e[\"ph\"] == \"X\" for e in d[\"traceEvents\"]) == len(d[\"layers\"]) > 0)
print(sorted(d[\"layers\"][0]))"
