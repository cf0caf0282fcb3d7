# A PyTorch ExportedProgram is a source model: converted, run, inspected; what it has beyond the table is all named.
python3 - <<'END'
import json, struct, zipfile
def tensor(name):
    return {"as_tensor": {"name": name}}
def meta(*dims):
    strides = [{"as_int": 1}]
    for d in dims[:0:-1]:
        strides.insert(0, {"as_int": strides[0]["as_int"] * d})
    return {"dtype": 7, "sizes": [{"as_int": d} for d in dims], "strides": strides, "storage_offset": {"as_int": 0}}
def node(target, output, **args):
    inputs = [{"name": k, "arg": v, "kind": 1} for k, v in args.items()]
    where = {"stack_trace": "File \"net.py\", line 12, in forward\n    x = f(x)", "nn_module_stack": "L__self__,,Net;L__self__fc,body.fc,Linear"}
    return {"target": target, "inputs": inputs, "outputs": [tensor(output)], "metadata": where}
def program(path, nodes):
    graph = {"inputs": [tensor("p_w"), tensor("x")], "outputs": [tensor("y")], "nodes": nodes, "tensor_values": {"x": meta(1, 2)}}
    signature = {"input_specs": [{"parameter": {"arg": {"name": "p_w"}, "parameter_name": "fc.weight"}}, {"user_input": {"arg": tensor("x")}}],
                 "output_specs": [{"user_output": {"arg": tensor("y")}}]}
    model = {"graph_module": {"graph": graph, "signature": signature}, "schema_version": {"major": 8, "minor": 17}, "torch_version": "2.11.0"}
    config = {"config": {"fc.weight": {"path_name": "weight_0", "use_pickle": False, "tensor_meta": meta(3, 2)}}}
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("net/archive_format", "pt2")
        z.writestr("net/models/model.json", json.dumps(model))
        z.writestr("net/data/weights/model_weights_config.json", json.dumps(config))
        z.writestr("net/data/weights/weight_0", struct.pack("<6f", 1, 2, 3, 4, 5, 6))
linear = node("torch.ops.aten.linear.default", "l", input=tensor("x"), weight=tensor("p_w"))
program("net.pt2", [linear, node("torch.ops.aten.relu_.default", "y", self=tensor("l"))])
program("odd.pt2", [linear, node("torch.ops.mine.fast_gelu.default", "g", x=tensor("l")),
                    node("torch.ops.mine.norm.default", "n", x=tensor("x")),
                    node("torch.ops.aten.add.Tensor", "y", self=tensor("g"), other=tensor("n"))])
h = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }"
h += b" " * (117 - len(h)) + b"\n"
import os
os.mkdir("in")
open("in/x.npy", "wb").write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(h)) + h + struct.pack("<2f", 1, 1))
END
mnn convert net.pt2 -o net.mnn -q
mnn inspect net.mnn --text | grep Gemm
for model in net.pt2 net.mnn; do
  mnn run $model --inputs in --outputs out -q
  python3 -c "import struct; print(struct.unpack('<3f', open('out/output_0.npy', 'rb').read()[-12:]))"
done
mnn inspect net.pt2 | grep -E "^(model|inputs|outputs|parameters)"
mnn inspect --ops | grep -c "aten::conv2d"
mnn convert odd.pt2 -o odd.mnn 2>err && code=0 || code=$?
echo "$code"
cat err
ls odd.mnn 2>/dev/null || echo "nothing written"
