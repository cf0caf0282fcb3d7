mnn quant cnn.onnx -o q.mnn --calibration samples -q >/dev/null
mnn compare cnn.onnx q.mnn --inputs samples --min-cosine 0.99 -q >/dev/null && echo good enough
mnn compare cnn.onnx q.mnn --inputs samples --backend reference --ref-backend reference --min-snr 30 --threads 2 -q >/dev/null && echo reference too
