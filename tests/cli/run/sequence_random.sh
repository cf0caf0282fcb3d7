mnn run sequences.onnx --random 1
