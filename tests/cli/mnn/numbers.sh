# Numbers out of their range, and what is no number, are wrong usage with the range in words.
try() { "$@" >/dev/null 2>err && code=0 || code=$?; echo "$code $(sed 's/^mnn: error: //' err)"; }
try mnn bench cnn.onnx --iterations 0
try mnn bench cnn.onnx --iterations -3
try mnn bench cnn.onnx --iterations many
try mnn bench cnn.onnx --iterations 1e3
try mnn bench cnn.onnx --threads two
try mnn bench cnn.onnx --threads 5000
try mnn quant cnn.onnx -o q.mnn --calibration samples --max-layers -1
try mnn quant cnn.onnx -o q.mnn --calibration samples --min-cosine 2
try mnn quant cnn.onnx -o q.mnn --calibration samples --min-snr nan
try mnn quant cnn.onnx -o q.mnn --calibration samples --max-size -5
try mnn quant cnn.onnx -o q.mnn --calibration samples --image-size 0,5
try mnn quant cnn.onnx -o q.mnn --calibration samples --image-mean 1,x
try mnn compare cnn.onnx cnn.onnx --random -1
try mnn compare cnn.onnx cnn.onnx --random 1 --min-snr inf
try mnn run cnn.onnx --random 1 --rtol -1
try mnn diff cnn.onnx cnn.onnx --max-rows 1.5
