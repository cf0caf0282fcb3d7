mnn diff cnn.onnx edited.onnx --max-rows 1 | grep -A 3 "^nodes changed"
