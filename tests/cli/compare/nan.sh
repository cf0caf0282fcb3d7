mnn compare cnn.onnx nan_weights.onnx --random 1 -q >/dev/null
