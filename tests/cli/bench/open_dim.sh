mnn bench open.onnx
