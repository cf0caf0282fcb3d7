# An int8 model comes back with the same plan and the same results at every opset.
mnn quant cnn.onnx -o q.mnn --calibration samples -q > text
mkdir in && cp samples/sample_0.npy in/input_0.npy
mnn run q.mnn --inputs in --outputs in -q > text
share() { mnn inspect "$1" --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["int8_mac_share"])'; }
for opset in 13 19 21; do
  mnn export q.mnn -o q$opset.onnx --opset $opset --json | python3 -c '
import json, sys
d = json.load(sys.stdin)
print(d["opset"], d["quantized"]["constants"] > 0, d["quantized"]["as_floats"], d["operators"]["QuantizeLinear"] == d["quantized"]["values"])'
  mnn run q$opset.onnx --inputs in --expect in --rtol 0 --atol 1e-6 -q > text
  [ "$(share q.mnn)" = "$(share q$opset.onnx)" ] && [ "$(share q.mnn)" = 1.0 ] && echo "all MACs on integers"
done
