mnn bench dynamic.onnx --iterations 2 --json | grep -c median_ms\"
