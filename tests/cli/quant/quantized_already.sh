# Quantizing what is quantized wants a flag: where nothing is left to do it is the error, else a warning.
mnn quant cnn.onnx -o q.mnn --calibration samples --export-scheme s.json -q >/dev/null
for flag in "" --requantize; do
  mnn quant q.mnn -o qq.mnn --calibration samples $flag 2>err && exit 1
  echo "exit $?"; cat err
done
python3 -c "
import json
s = json.load(open('s.json'))
for layer in s['layers']:
    if layer['name'] == 'stem_relu': layer['precision'] = 'float'
json.dump(s, open('part.json', 'w'))"
mnn quant cnn.onnx -o part.mnn --import-scheme part.json -q 2>/dev/null >/dev/null
mnn quant part.mnn -o rest.mnn --requantize --calibration samples --json 2>err >out.json
cat err
grep -c "quantized already" out.json
