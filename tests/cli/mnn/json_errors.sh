# With --json every failure is an object on stdout.
show() {
  "$@" --json > out.json 2>/dev/null && code=0 || code=$?
  python3 -c "
import json
d = json.load(open('out.json'))
e = d.get('error', {})
print($code, e.get('exit_code'), e.get('kind'), len(e.get('problems', [])), e.get('message', '')[:60])"
}
show mnn convert missing.onnx -o o.mnn
show mnn convert cnn.onnx
show mnn convert text.onnx -o o.mnn
show mnn convert unsupported.onnx -o o.mnn
show mnn bench open.onnx
show mnn run cnn.onnx
show mnn inspect cnn.onnx --no-such-flag
show mnn quant cnn.onnx -o q.mnn --calibration nowhere
show mnn diff cnn.onnx edited.onnx
# A missed threshold has its result: no second object.
mnn diff cnn.onnx edited.onnx --same --json 2>/dev/null > out.json || echo "exit $?"
python3 -c "
import json
print('error' in json.load(open('out.json')))"
