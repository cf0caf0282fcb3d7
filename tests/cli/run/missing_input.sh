mkdir in
mnn run cnn.onnx --inputs in
