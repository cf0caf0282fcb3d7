# The layer whose weights are 1.3 times as large is named, whatever the formats; without loss none is.
mnn compare cnn.onnx scaled.onnx --random 1 --bisect --max-layers 0 | sed -n '/^bisect/,$p' | sed 's/1[34][0-9]\.[0-9]*$/high/'
mnn convert cnn.onnx -o c.mnn -q
mnn convert scaled.onnx -o s.mnn -q
mnn quant scaled.onnx -o q.mnn --calibration samples -q >/dev/null
for pair in "cnn.onnx s.mnn" "s.mnn cnn.onnx" "cnn.onnx q.mnn" "q.mnn c.mnn" "cnn.onnx c.mnn" "scaled.onnx s.mnn"; do
  mnn compare $pair --inputs samples --bisect -q | tail -1
done
# NaN is a loss, too; what stands between two layers of both is told.
mnn compare cnn.onnx nan_weights.onnx --random 1 --bisect -q 2>/dev/null || echo $?
mnn compare cnn.onnx edited.onnx --random 1 --bisect | tail -1
# The same every time and for any threads, as an object as well.
for threads in 1 2; do
  mnn compare cnn.onnx q.mnn --inputs samples --bisect --threads $threads --json | python3 -c "
import json, sys
print(json.dumps(json.load(sys.stdin)['bisect']))" > $threads.json
done
cmp 1.json 2.json && python3 -c "
import json
b = json.load(open('1.json'))
print(b['lost'], b['layer'], b['ref_layer'], b['test_op'], b['between'], b['layers'] > 3, b['runs'])
print(b['before_snr_db'] < 45 < b['repaired_snr_db'], sorted(b))"
mnn compare cnn.onnx c.mnn --random 1 --bisect --json | python3 -c "
import json, sys
b = json.load(sys.stdin)['bisect']
print(b['lost'], b['layer'], b['outputs_snr_db'])"
mnn compare cnn.onnx scaled.onnx --random 1 --bisect --min-snr 60 -q 2>/dev/null || echo $?
mnn compare cnn.onnx c.mnn --random 1 --bisect --outputs-only 2>/dev/null || echo $?
