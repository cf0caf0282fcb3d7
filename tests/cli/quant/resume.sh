# A run that is killed goes on where it was, and ends in the same bytes.
q() { mnn quant two_units.onnx --calibration samples --scheme mixed --max-size 95% -q "$@"; }
q -o straight.mnn --report straight.json >/dev/null 2>&1
mnn quant two_units.onnx --calibration samples --scheme mixed --max-size 95% -q -o killed.mnn --resume r.json >/dev/null 2>&1 &
while [ ! -s r.json ]; do kill -0 $! 2>/dev/null || break; done
kill -9 $! 2>/dev/null || true
wait $! 2>/dev/null || true
python3 -c "
import json
print(json.load(open('r.json'))['format'])"
rm -f killed.mnn
q -o again.mnn --resume r.json --report again.json >/dev/null 2>&1
cmp straight.mnn again.mnn && echo the same
# With everything known the third run measures nothing and is the same.
q -o third.mnn --resume r.json --report third.json --threads 1 >/dev/null 2>&1
cmp straight.mnn third.mnn && echo the same
python3 - <<'PY'
import json
def of(name):
    d = json.load(open(name))
    return [d[k] for k in ("mix", "layers", "outputs", "candidates", "warnings", "bytes")]
print(of("straight.json") == of("again.json") == of("third.json"))
PY
# Other settings, other samples, another model, another file.
q -o no.mnn --resume r.json --min-snr 20 2>&1 || echo "exit $?"
mkdir fewer && for i in 0 1 2 3; do cp samples/sample_$i.npy fewer; done
mnn quant two_units.onnx --calibration fewer --scheme mixed --max-size 95% -q -o no.mnn --resume r.json 2>&1 || echo "exit $?"
mnn quant cnn.onnx --calibration samples --scheme mixed --max-size 95% -q -o no.mnn --resume r.json 2>&1 || echo "exit $?"
head -c 300 r.json > cut.json
q -o no.mnn --resume cut.json 2>&1 || echo "exit $?"
echo '{"format": "mnn-quant-evaluations", "version": 2}' > newer.json
q -o no.mnn --resume newer.json 2>&1 || echo "exit $?"
sed 's/: \[/: [{},/' r.json > odd.json
q -o no.mnn --resume odd.json 2>&1 | sed 's/result .*: expected/result X: expected/'
mnn quant cnn.onnx --scheme w4 -q -o no.mnn --resume r.json 2>&1 || echo "exit $?"
q -o no.mnn --resume no.mnn 2>&1 || echo "exit $?"
ls no.mnn* 2>/dev/null | wc -l
