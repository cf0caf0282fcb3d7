mnn init cnn.onnx --dir p --calibration samples -q >/dev/null
ls p p/golden
cd p
mnn quant -q >/dev/null
mnn run cnn.mnn --inputs golden --expect golden -q >/dev/null
mnn bench --json | grep -c ratio_to_first
