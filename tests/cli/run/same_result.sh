mnn convert cnn.onnx -o c.mnn -q >/dev/null
mnn convert cnn.onnx -o plain.mnn --no-fuse -q >/dev/null
mkdir in && cp samples/sample_0.npy in/input_0.npy
mnn run plain.mnn --inputs in --outputs in -q >/dev/null
mnn run c.mnn --inputs in --expect in --rtol 1e-4 --atol 1e-5 -q >/dev/null && echo agree
mnn run c.mnn --inputs in --expect in --backend reference --rtol 1e-4 --atol 1e-5 -q >/dev/null && echo reference agrees
