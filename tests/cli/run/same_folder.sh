# Inputs, expectations and outputs may share a folder as long as no file is both read and written.
mkdir d
cp samples/sample_0.npy d/x.npy
mnn run cnn.onnx --inputs d --outputs d -q
cp d/output_0.npy before.npy
mnn run cnn.onnx --inputs d --expect d --outputs d 2>err && exit 1
cat err
cmp d/output_0.npy before.npy && echo "kept"
