mnn convert cnn.onnx -o c.mnn --frobnicate
