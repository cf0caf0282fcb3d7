mnn run cnn.onnx --random 1 --outputs out
ls out
