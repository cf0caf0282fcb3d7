mnn quant cnn.onnx -o q.mnn --calibration samples --scheme w5
