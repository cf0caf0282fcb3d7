# An output that is an input, under whatever name, is refused before anything is touched.
cp cnn.onnx m.onnx
ln -s m.onnx link.onnx
ln m.onnx hard.onnx
mkdir sub
sum=$(sha256sum < m.onnx)
try() {
  "$@" >/dev/null 2>err && code=0 || code=$?
  echo "$code $(sed 's/^mnn: error: //' err | head -1)"
  [ "$(sha256sum < m.onnx)" = "$sum" ] || echo "m.onnx was changed"
}
try mnn convert m.onnx -o m.onnx
try mnn convert m.onnx -o ./sub/../m.onnx
try mnn convert m.onnx -o link.onnx
try mnn convert link.onnx -o m.onnx
try mnn convert m.onnx -o hard.onnx
try mnn convert m.onnx -o o.mnn --netron m.onnx
try mnn convert m.onnx -o o.mnn --log-file m.onnx
try mnn convert m.onnx -o o.mnn --log-file hard.onnx
try mnn convert m.onnx -o o.mnn --report sub/r.json --netron ./sub/r.json
try mnn convert m.onnx -o o.mnn --log-file o.mnn
try mnn convert m.onnx -o o.mnn --report r.md --report ./r.md
ls o.mnn sub/* r.md 2>/dev/null || echo "nothing written"
# Devices are no files.
mnn convert m.onnx -o o.mnn --log-file /dev/null -q
