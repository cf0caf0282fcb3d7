mnn compare cnn.onnx other_weights.onnx --inputs samples
