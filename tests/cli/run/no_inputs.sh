mnn run cnn.onnx
