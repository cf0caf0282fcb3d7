mnn convert dynamic.onnx -o c.mnn --shape z=1,3,16,16
