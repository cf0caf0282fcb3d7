mnn inspect cnn.onnx --json | python3 -c "
import json,sys
d = json.load(sys.stdin)
print(d[\"inputs\"], d[\"outputs\"], d[\"int8_mac_share\"], d[\"parameters\"] > 600, d[\"macs\"] > 100000)"
