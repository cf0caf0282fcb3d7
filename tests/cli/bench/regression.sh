mnn bench cnn.onnx --json > now.json
sed "s/\"median_ms\": [0-9.e-]*/\"median_ms\": 1e-6/; s/\"median_ms_high\": [0-9.e-]*/\"median_ms_high\": 1e-6/" now.json > old.json
mnn bench cnn.onnx --baseline old.json --max-regression 5% -q >/dev/null
