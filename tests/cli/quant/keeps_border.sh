mnn quant dynamic.onnx -o q.mnn --calibration samples -q >/dev/null
mnn inspect q.mnn | head -3
