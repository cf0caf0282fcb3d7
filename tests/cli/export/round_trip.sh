# What converts is exported and read back as the same function, at the first and the last opset.
for m in cnn detector edited more_classes recurrent stream text_model two_units wide_channels half; do
  shape=()
  case $m in
    detector) shape=(--shape images=1,3,32,32) ;;
    text_model) shape=(--shape ids=1,5 --shape weight=1,5,1) ;;
  esac
  for opset in 13 21; do
    mnn export $m.onnx -o x.onnx --opset $opset -q > text || { echo "$m $opset: not exported"; continue; }
    grep -q "opset $opset" text
    mnn compare $m.onnx x.onnx --random 1 "${shape[@]}" --min-snr 100 -q > out 2>&1 || { echo "$m $opset:"; tail -1 out; }
  done
done
mnn run sequences.onnx --inputs sequences --outputs in -q > text
mnn export sequences.onnx -o s.onnx -q > text
mnn run s.onnx --inputs sequences --expect in -q > text
mnn convert cnn.onnx -o c.mnn -q > text
mnn export c.mnn -o c.onnx -q > text
mnn diff c.mnn c.onnx --same -q
# An output that is listed twice cannot have its name twice.
mnn export twice.onnx -o t.onnx -q > text
mnn inspect t.onnx --json | python3 -c '
import json, sys
print([o["name"] for o in json.load(sys.stdin)["outputs"]])'
