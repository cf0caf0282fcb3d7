mnn export nothing.onnx -o x.onnx
