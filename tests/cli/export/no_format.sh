mnn export cnn.onnx -o cnn.bin
