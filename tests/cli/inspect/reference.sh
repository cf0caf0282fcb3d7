mnn inspect reference.onnx | grep '^reference'
mnn convert reference.onnx -o r.mnn --json -q | python3 -c '
import json, sys
r = json.load(sys.stdin)["reference"]
print(r["assumed"], r["time_share"] > 0.5, [(o["op"], o["nodes"], o["why"]) for o in r["operators"]])'
mnn inspect cnn.onnx | grep '^reference'
