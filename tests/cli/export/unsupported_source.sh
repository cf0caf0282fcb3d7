mnn export unsupported.onnx -o x.onnx --json
