mkdir none
mnn quant cnn.onnx -o q.mnn --calibration none
