mnn compare cnn.onnx more_classes.onnx --random 1 --json > r.json || code=$?
python3 -c "
import json
d = json.load(open(\"r.json\"))
print(d[\"first_bad_layer\"], d[\"outputs\"][0][\"problem\"])"
exit $code
