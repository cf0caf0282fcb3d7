mnn export cnn.onnx -o x.onnx --opset 12
