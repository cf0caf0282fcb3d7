mnn convert dynamic.onnx -o c.mnn --shape x=1,a,2,3
