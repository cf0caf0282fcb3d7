# What is no report is told so, whatever it is.
mnn quant cnn.onnx -o q.mnn --calibration samples --report quant.json -q >/dev/null
try() { echo "$1" > wrong.json; shift; mnn report "$@" 2>&1 || echo "exit code $?"; }
try '{"layers": 3}' --quant wrong.json
try '{"layers": [3], "float_constants": []}' --quant wrong.json
try '[]' --bench wrong.json
try '{"layers": [{"ms": 1}]}' --bench wrong.json
try 'no JSON' --bench wrong.json
try '{"layers": [{"name": "a", "ms": "fast", "macs": 1e300, "origin": 3}]}' --bench wrong.json --quant quant.json -q
mnn report --quant quant.json --report out.txt 2>&1 || echo "exit code $?"
