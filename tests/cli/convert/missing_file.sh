mnn convert nothing.onnx -o t.mnn
