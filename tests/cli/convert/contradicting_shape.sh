mnn convert dynamic.onnx -o c.mnn --shape x=1,4,16,16
