mnn convert text.onnx -o t.mnn
