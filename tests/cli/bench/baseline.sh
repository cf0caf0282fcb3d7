mnn bench cnn.onnx --threads 1 --json > old.json
mnn bench cnn.onnx --threads 1 --baseline old.json --max-regression 100000% --json | python3 -c "
import json, sys
d = json.load(sys.stdin)
print(d[\"baseline\"][\"regressed\"], d[\"baseline\"][\"mismatches\"], list(d)[0])"
cp cnn.onnx renamed.onnx
mnn bench renamed.onnx --threads 2 --baseline old.json --max-regression 100000 -q 2>&1 >/dev/null
mnn bench cnn.onnx --baseline samples/sample_0.npy
