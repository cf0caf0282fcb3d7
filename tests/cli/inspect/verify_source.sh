mnn inspect cnn.onnx --verify
