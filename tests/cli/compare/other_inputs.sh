mnn compare cnn.onnx open.onnx --inputs samples
