# The example of every --help works as it stands.
cp cnn.onnx model.onnx
mkdir in && cp samples/sample_0.npy in/input_0.npy
mkdir -p shapes/a shapes/b && cp samples/sample_[0-3].npy shapes/a && cp samples/sample_[4-7].npy shapes/b
mnn convert model.onnx -o model.mnn -q >/dev/null
mnn quant model.onnx -o model.int8.mnn --calibration samples --report quant.json -q >/dev/null
mnn bench model.int8.mnn --iterations 2 --profile profile.json -q >/dev/null
mnn completion --json | python3 -c "
import json, sys
for t in json.load(sys.stdin):
    print(t[\"command\"], t[\"example\"], sep=\"\t\")" > examples
while IFS=$'\t' read -r command example; do
  mnn "$command" --help | grep -qF "  $example" || echo "not in the help of $command: $example"
  bash -euc "$example" >/dev/null 2>err </dev/null || { echo "failed: $example"; cat err; }
done < examples
[ "$(wc -l < examples)" -ge 10 ]
eval "$(mnn --help | tail -1)" >/dev/null
