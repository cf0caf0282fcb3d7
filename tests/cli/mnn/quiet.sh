# -q prints the verdict only.
mnn convert cnn.onnx -o m.mnn -q
mnn quant m.mnn -o q.mnn --calibration samples -q
mnn compare m.mnn q.mnn --random 1 -q
mnn diff m.mnn m.mnn -q
mnn run m.mnn --random 1 -q
mnn init m.mnn --dir p -q
