mnn convert cnn.onnx -o c.mnn --reprot r.json
