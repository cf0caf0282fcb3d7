mnn export cnn.onnx -o a.onnx -q > text
mnn export cnn.onnx -o b.onnx -q > text
cmp a.onnx b.onnx && echo same bytes
mnn export cnn.onnx -o a -q --to onnx > text
cmp a a.onnx && echo --to
