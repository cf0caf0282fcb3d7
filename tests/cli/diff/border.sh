mnn diff cnn.onnx dynamic.onnx
mnn diff cnn.onnx dynamic.onnx --shape x=1,3,16,16 --same
