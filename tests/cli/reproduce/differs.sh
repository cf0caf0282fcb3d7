# Other inputs are refused, a file that another recipe made is told apart.
mkdir some && cp samples/$(ls samples | head -1) samples/$(ls samples | tail -1) some/
q() { mnn quant cnn.onnx --calibration samples -q "$@" >/dev/null 2>&1; }
q -o a.mnn
mnn reproduce a.mnn --model two_units.onnx --calibration samples -q 2>&1 || echo "exit $?"
mnn reproduce a.mnn --model cnn.onnx --calibration some -q 2>&1 || echo "exit $?"
mnn reproduce a.mnn --model cnn.onnx -q 2>&1 || echo "exit $?"
mnn reproduce a.mnn --model cnn.onnx --calibration samples --holdout some -q 2>&1 || echo "exit $?"
mnn reproduce a.mnn --calibration samples -q 2>&1 || echo "exit $?"
mnn convert cnn.onnx -o plain.mnn -q >/dev/null
mnn reproduce plain.mnn --model cnn.onnx -q 2>&1 || echo "exit $?"
mnn reproduce cnn.onnx --model cnn.onnx -q 2>&1 || echo "exit $?"
mnn reproduce none.mnn --model cnn.onnx -q 2>&1 || echo "exit $?"
# A scheme edited by hand is not what was searched.
q -o s.mnn --method minmax --export-scheme s.json
python3 -c "
import json
s = json.load(open('s.json'))
s['layers'][0]['precision'] = 'float'
json.dump(s, open('edited.json', 'w'))"
mnn quant cnn.onnx -o edited.mnn --import-scheme edited.json -q >/dev/null 2>&1
mnn reproduce edited.mnn --model cnn.onnx --calibration samples -o again.mnn --json 2>err | python3 -c "
import json, sys
d = json.load(sys.stdin)
print(d['same'], d['output'], len(d['differences']) > 0)"
cat err
ls again.mnn* && cmp s.mnn again.mnn.rejected && echo what the recipe makes
mnn reproduce edited.mnn --model cnn.onnx --import-scheme edited.json -q
