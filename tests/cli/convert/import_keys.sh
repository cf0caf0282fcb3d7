# --import sets what the front end declares; what it does not is named.
try() {
  "$@" >/dev/null 2>err && code=0 || code=$?
  echo "$code $(sed 's/^mnn: error: //' err | head -1)"
}
try mnn convert cnn.onnx -o a.mnn --import max_nodes=1000
mnn inspect a.mnn --json | python3 -c "import json, sys; print(json.load(sys.stdin)['metadata']['options'])"
try mnn convert cnn.onnx -o b.mnn --import max_nodes=1
try mnn convert cnn.onnx -o b.mnn --import max_nodes=many
try mnn convert cnn.onnx -o b.mnn --import max_node=5
try mnn convert cnn.onnx -o b.mnn --import x=5
try mnn convert cnn.onnx -o b.mnn --import max_nodes
try mnn convert cnn.onnx -o b.mnn --import max_nodes=5 --import max_nodes=6
try mnn convert cnn.onnx -o b.mnn --import file=cnn.onnx
try mnn convert a.mnn -o b.mnn --import max_nodes=5
ls b.mnn 2>/dev/null || echo "nothing written"
mnn inspect --ops | sed -n "/^onnx:/,/^[a-z0-9]*:/p" | grep -- --import
