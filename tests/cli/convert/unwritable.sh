mnn convert cnn.onnx -o no/such/folder/c.mnn
