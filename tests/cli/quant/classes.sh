# One folder a class: every file in them is a sample of the one input, in name order.
mkdir -p classes/cat classes/dog classes/empty
cp samples/sample_[0-3].npy classes/cat
cp samples/sample_[4-7].npy classes/dog
touch classes/dog/Thumbs.db classes/labels.txt
mnn quant cnn.onnx -o a.mnn --calibration samples -q >/dev/null
mnn quant cnn.onnx -o b.mnn --calibration classes >/dev/null
cmp a.mnn b.mnn && echo "same model"
mnn quant cnn.onnx -o b.mnn --calibration classes 2>&1 >/dev/null | grep skipped
# Where a sub-folder holds the input's own file it is one sample, as ever.
mkdir -p named/0 named/1
cp samples/sample_0.npy named/0/x.npy
cp samples/sample_1.npy named/1/input_0.npy
mnn quant cnn.onnx -o c.mnn --calibration named --json 2>/dev/null | grep -E "calibration_samples|holdout_samples"
# With several inputs a sub-folder is a sample.
mkdir -p several/a && cp samples/sample_0.npy several/a
mnn quant text_model.onnx -o d.mnn --calibration several
