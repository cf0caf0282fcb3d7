mkdir good && cp samples/sample_0.npy good/input_0.npy
mnn run cnn.onnx --inputs good --outputs good --backend reference -q >/dev/null
mnn convert cnn.onnx -o c.mnn --expect good --report r.json --json | grep -c "\"passed\": true"
grep -c "checked against good: output y" r.json
python3 -c "import json; r = json.load(open('r.json')); print(r['passed'], [c['passed'] for c in r['checks']], 'tool' in r)"
cp -r good bad && cp samples/sample_1.npy bad/input_0.npy
mnn convert cnn.onnx -o bad.mnn --expect bad --report bad.json --report bad.md -q >/dev/null || code=$?
python3 -c "import json; print(json.load(open('bad.json'))['passed'])"
grep -c 'verdict.*failed: output y' bad.md
ls bad.mnn* && exit $code
