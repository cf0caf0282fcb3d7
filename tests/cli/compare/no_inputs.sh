mnn compare cnn.onnx cnn.onnx
