mkdir in && cp sequences/input_1.pb in/input_0.pb && cp sequences/input_1.pb in/input_1.pb
mnn run sequences.onnx --inputs in
