mnn quant cnn.onnx -o q.mnn --calibration samples --max-size 10 -q >/dev/null
