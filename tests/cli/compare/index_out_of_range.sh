# A token that the table does not have: which node, which sample, which element, which limit.
mkdir -p s/a s/b
python3 - <<'END'
import struct
def npy(path, dtype, shape, data):
    head = "{'descr': '%s', 'fortran_order': False, 'shape': %s, }" % (dtype, shape)
    head += " " * (63 - (10 + len(head)) % 64) + "\n"
    open(path, "wb").write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + data)
for name, tokens in (("a", (1, 2, 3)), ("b", (1, 2, 99999))):
    npy(f"s/{name}/input_0.npy", "<i8", (1, 3), struct.pack("<3q", *tokens))
    npy(f"s/{name}/input_1.npy", "<f4", (1, 3, 1), struct.pack("<3f", 1, 1, 1))
END
for command in "compare text_model.onnx text_model.onnx --inputs s" "quant text_model.onnx -o q.mnn --calibration s" "run text_model.onnx --inputs s/b" "run text_model.onnx --inputs s"; do
  mnn $command 2>&1 >/dev/null | grep -v warning || true
done
