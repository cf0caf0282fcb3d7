mnn compare cnn.onnx nothing.mnn --random 1
