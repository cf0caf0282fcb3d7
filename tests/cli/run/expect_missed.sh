mkdir in && cp samples/sample_0.npy in/input_0.npy
mnn run cnn.onnx --inputs in --outputs in -q >/dev/null
cp samples/sample_1.npy in/input_0.npy
mnn run cnn.onnx --inputs in --expect in -q >/dev/null
