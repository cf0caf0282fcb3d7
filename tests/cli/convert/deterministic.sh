mnn convert cnn.onnx -o a.mnn -q >/dev/null
cp cnn.onnx other.onnx
mnn convert other.onnx -o b.mnn --threads 2 -q >/dev/null
cmp a.mnn b.mnn && echo same
