mnn diff cnn.onnx edited.onnx
