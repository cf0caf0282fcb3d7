mnn inspect cnn.onnx --text | head -1
