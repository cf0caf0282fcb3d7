mnn compare cnn.onnx other_weights.onnx --random 1 --dump-layers one -q >/dev/null
mnn compare cnn.onnx other_weights.onnx --inputs samples --outputs-only --dump-layers many -q >/dev/null
ls one/ref one/test many many/7/test
cmp one/ref/stem_relu.npy one/test/stem_relu.npy && echo same
cmp -s one/ref/residual_relu.npy one/test/residual_relu.npy || echo differ
