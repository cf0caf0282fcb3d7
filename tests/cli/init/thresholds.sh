mnn init cnn.onnx --dir p --calibration samples -q >/dev/null
cd p
sed -i "s/\"min_snr\": null/\"min_snr\": 150/" mnn.json
mnn quant -q >/dev/null || code=$?
ls *.rejected
mnn quant --min-snr 10 -q >/dev/null && ls cnn.int8.mnn
exit $code
