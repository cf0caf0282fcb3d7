# The recipe in a file makes the same bytes again.
mkdir held && cp samples/$(ls samples | tail -1) held/
again() { mnn reproduce "$1" --model cnn.onnx --calibration samples "${@:2}"; }
q() { mnn quant cnn.onnx --calibration samples -q "$@" >/dev/null 2>&1; }
q -o a.mnn
again a.mnn
again a.mnn --threads 2 -q -o b.mnn && cmp a.mnn b.mnn
q -o minmax.mnn --method minmax --keep-float classifier --weight-scale mse --overflow-fix off
again minmax.mnn -q
q -o w.mnn --scheme w4 --group-size 16 --level best
again w.mnn -q
mnn quant cnn.onnx -o bare.mnn --scheme w3 -q >/dev/null 2>&1
mnn reproduce bare.mnn --model cnn.onnx -q
q -o mixed.mnn --scheme mixed --max-size 1.3xint8 --layer 'stem*=w8' --holdout held
again mixed.mnn --holdout held --json | python3 -c "
import json, sys
d = json.load(sys.stdin)
print(sorted(d)); print(d['same'], d['differences'], d['bytes'] == d['made_bytes'], d['output'])"
# Of a scheme file, by what was searched or by the scheme.
q -o s.mnn --export-scheme s.json
mnn quant cnn.onnx -o t.mnn --import-scheme s.json -q >/dev/null 2>&1
again t.mnn -q
mnn reproduce t.mnn --model cnn.onnx --import-scheme s.json -q
# The metadata hold no path and no command.
q -o e.mnn --eval 'echo 1 # secret' --min-eval 0 --try
grep -c secret e.mnn || true
again e.mnn -q 2>&1 || echo "exit $?"
again e.mnn -q --eval 'echo 1'
# In a project nothing needs to be said.
mnn init cnn.onnx --dir p --calibration samples -q >/dev/null 2>&1
(cd p && mnn quant -q >/dev/null 2>&1 && mnn reproduce -q)
