mnn run cnn.onnx --random 1 --dump-layers layers -q >/dev/null
ls layers
