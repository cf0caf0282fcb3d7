mnn quant cnn.onnx -o q.mnn --calibration black --gate strict > out.txt || code=$?
grep -c exact out.txt || true
grep -c constant out.txt
ls q.mnn*
mnn quant cnn.onnx -o q.mnn --calibration black --report r.json -q >/dev/null 2>&1 && echo no gate, no failure
python3 -c "
import json
d = json.load(open('r.json'))
print(set(d['data_faults']) <= set(d['warnings']), d['outputs'][0]['constant'])"
exit $code
