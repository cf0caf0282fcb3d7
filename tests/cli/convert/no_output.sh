mnn convert cnn.onnx
