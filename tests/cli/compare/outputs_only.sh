mnn compare cnn.onnx other_weights.onnx --random 3 --outputs-only --json | python3 -c "
import json, sys
d = json.load(sys.stdin)
print(d[\"layers\"], d[\"unaligned\"], len(d[\"outputs\"]), d[\"first_bad_layer\"])"
