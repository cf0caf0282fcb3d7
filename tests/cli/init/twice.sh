mnn init cnn.onnx --dir p -q >/dev/null
mnn init cnn.onnx --dir p -q
