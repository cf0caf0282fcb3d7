mkdir good && cp samples/sample_0.npy good/input_0.npy
mnn run cnn.onnx --inputs good --outputs good --backend reference -q >/dev/null
mnn convert cnn.onnx -o c.mnn --expect good --report r.json --json | grep -c "\"passed\": true"
grep -c "checked against good: output y" r.json
cp -r good bad && cp samples/sample_1.npy bad/input_0.npy
mnn convert cnn.onnx -o bad.mnn --expect bad -q >/dev/null || code=$?
ls bad.mnn* && exit $code
