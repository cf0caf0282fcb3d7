mnn quant cnn.onnx -o q.mnn --calibration samples --min-snr 150 -q >/dev/null || code=$?
ls q.mnn* ; exit $code
