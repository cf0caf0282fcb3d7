mnn bench cnn.onnx --json > old.json
mnn bench cnn.onnx --baseline old.json --max-regression slow
