mnn compare cnn.onnx edited.onnx --random 1 | grep -A 20 "^[0-9]* layers aligned"
