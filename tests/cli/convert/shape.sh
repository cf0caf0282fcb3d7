mnn convert dynamic.onnx -o c.mnn --shape x=2,3,16,16 | grep inputs
