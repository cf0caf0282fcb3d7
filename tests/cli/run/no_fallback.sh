# All nodes a backend does not take are named, with the reason; without the flag they run elsewhere.
mnn run reference.onnx --random 1 --outputs out --no-fallback -q || echo "$?"
mnn run reference.onnx --random 1 --outputs out -q && echo runs
mnn run cnn.onnx --random 1 --outputs out --backend cpu,reference --no-fallback -q && echo runs
