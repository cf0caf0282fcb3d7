mnn convert cnn.onnx -o cnn.mnn
mnn inspect cnn.mnn --verify | wc -l
