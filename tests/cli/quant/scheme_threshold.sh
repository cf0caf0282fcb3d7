mnn quant cnn.onnx -o a.mnn --calibration samples --export-scheme s.json -q >/dev/null
mnn quant cnn.onnx -o b.mnn --import-scheme s.json --min-snr 10 -q
