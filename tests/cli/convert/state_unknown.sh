mnn convert stream.onnx -o s.mnn --state sum=tota
