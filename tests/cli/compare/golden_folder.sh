mnn init cnn.onnx --dir p -q >/dev/null
mnn compare cnn.onnx p/cnn.mnn --inputs p/golden --json | grep -c "\"samples\": 1,"
