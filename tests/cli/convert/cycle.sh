mnn convert cycle.onnx -o c.mnn
