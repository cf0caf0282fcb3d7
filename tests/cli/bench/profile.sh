mnn bench cnn.onnx --iterations 2 --profile p.json -q >/dev/null
python3 -c "
import json
d = json.load(open(\"p.json\"))
print(len(d[\"traceEvents\"]) == len(d[\"layers\"]) > 0)"
