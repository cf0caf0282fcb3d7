head -c 500 cnn.onnx > cut.onnx
mnn convert cut.onnx -o t.mnn
