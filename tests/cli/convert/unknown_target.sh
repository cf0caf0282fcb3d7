mnn convert cnn.onnx -o c.mnn --target toaster
