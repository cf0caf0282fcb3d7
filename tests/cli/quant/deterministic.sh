mnn quant cnn.onnx -o a.mnn --calibration samples -q >/dev/null
mnn quant cnn.onnx -o b.mnn --calibration samples -q --threads 2 >/dev/null
cmp a.mnn b.mnn && echo same
