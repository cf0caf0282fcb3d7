# A row for each backend, in the order of the list, on the same inputs.
mnn bench cnn.onnx --iterations 2 --backend cpu,reference --json | python3 -c '
import json, sys
rows = json.load(sys.stdin)
print([r["backend"] for r in rows], [list(r["backend_shares"]) for r in rows])
print(all(r["max_rel_to_first"] < 1e-5 for r in rows), rows[1]["device"], "ratio_to_first" in rows[1])'
mnn bench cnn.onnx --iterations 2 --backend cpu,reference -q | cut -d: -f1
# A row that cannot be there says why; the others are.
MNN_OPENCL_LIBRARY=/nowhere mnn bench cnn.onnx --iterations 2 --backend cpu,opencl --json | python3 -c '
import json, sys
rows = json.load(sys.stdin)
print([r["backend"] for r in rows], "median_ms" in rows[0], rows[1]["refused"].split(":")[0])'
MNN_OPENCL_LIBRARY=/nowhere mnn bench cnn.onnx --iterations 2 --backend opencl -q || echo "$?"
