mnn run cnn.onnx --random 3 --json | tr -d " \n"
