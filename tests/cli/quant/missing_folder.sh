mnn quant cnn.onnx -o q.mnn --calibration nowhere
