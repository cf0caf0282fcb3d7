mnn compare cnn.onnx cnn.onnx --random 1 --report r.pdf
