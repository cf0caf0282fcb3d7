mnn export cnn.onnx -o no/folder/x.onnx
