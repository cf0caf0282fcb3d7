# The file beside the model is an output as well.
cp cnn.onnx x.onnx.data
mnn export x.onnx.data -o x.onnx --external-data
