mnn convert cnn.onnx -o cnn.mnn --json | python3 -c "
import json,sys
d = json.load(sys.stdin)
p = d[\"plan_steps\"]
print(d[\"output\"], d[\"format\"], p[\"fused\"] < p[\"unfused\"])"
