mnn convert cnn.onnx -o c.mnn -q >/dev/null
mnn diff cnn.onnx c.mnn --same
