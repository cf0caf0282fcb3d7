mnn convert unsupported.onnx -o u.mnn
