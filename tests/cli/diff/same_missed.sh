mnn diff cnn.onnx other_weights.onnx --same
