# Samples, scheme files and models are inputs; none is replaced.
mnn convert cnn.onnx -o k.mnn -q >/dev/null
mnn quant k.mnn -o q.mnn --calibration samples --export-scheme s.json -q >/dev/null
cp k.mnn q2.mnn.rejected
sums() { cat k.mnn q.mnn s.json samples/* q2.mnn.rejected | sha256sum; }
before=$(sums)
try() {
  "$@" >/dev/null 2>err && code=0 || code=$?
  echo "$code $(grep '^mnn: error' err | sed 's/^mnn: error: //' | head -1)"
  [ "$(sums)" = "$before" ] || echo "an input was changed"
}
try mnn quant k.mnn -o k.mnn --calibration samples
try mnn quant k.mnn -o samples/sample_1.npy --calibration samples
try mnn quant k.mnn -o o.mnn --import-scheme s.json --export-scheme ./s.json
try mnn quant k.mnn -o o.mnn --calibration samples --export-scheme samples/sample_0.npy
try mnn quant k.mnn -o o.mnn --calibration samples --log-file samples/sample_0.npy
try mnn quant q2.mnn.rejected -o q2.mnn --calibration samples --min-snr 900
try mnn bench k.mnn --iterations 1 --profile k.mnn
mnn bench k.mnn --iterations 1 --json > b.json
try mnn bench k.mnn --iterations 1 --baseline b.json --profile b.json
try mnn init k.mnn --dir .
try mnn run k.mnn --random 1 --outputs g
mkdir g/in && mv g/output_0.npy g/in/expected.npy
ls o.mnn mnn.json 2>/dev/null || echo "nothing written"
