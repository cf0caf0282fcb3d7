mnn export cnn.onnx -o cnn.onnx
