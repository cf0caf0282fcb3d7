# What cannot be opened or made says why.
try() { "$@" >/dev/null 2>err && code=0 || code=$?; echo "$code $(sed 's/^mnn: error: //' err)"; }
try mnn inspect missing.onnx
mkdir folder; try mnn inspect folder
ln -s loop loop; try mnn inspect loop
mkfifo pipe; try mnn inspect pipe
try mnn inspect cnn.onnx/m.onnx
try mnn inspect -
try mnn convert cnn.onnx -o -
try mnn convert cnn.onnx -o pipe
try mnn convert cnn.onnx -o folder
try mnn convert cnn.onnx -o missing/m.mnn
try mnn convert cnn.onnx -o m.mnn --log-file cnn.onnx/log
try mnn convert cnn.onnx -o m.mnn --dump-passes cnn.onnx
try mnn run cnn.onnx --inputs missing
try mnn run cnn.onnx --random 1 --outputs cnn.onnx/out
try mnn quant cnn.onnx -o q.mnn --calibration missing
try mnn quant cnn.onnx -o q.mnn --calibration cnn.onnx
try mnn bench cnn.onnx --iterations 1 --baseline missing.json
