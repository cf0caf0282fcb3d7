mnn bench cnn.onnx --iterations 3 --json | python3 -c "
import json,sys
d = json.load(sys.stdin)
print(list(d)[0], d[\"iterations\"], d[\"threads\"], d[\"median_ms\"] > 0)"
