# Layers before the head, changed images, and a run that is taken up again.
python3 - <<'END'
import pathlib, struct
state = 1
def noise():
    global state
    state = (state * 1103515245 + 12345) % 2**31
    return state / 2**31 - 0.5
def npy(path, values):
    head = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 16, 16), }"
    head += " " * (53 + 64 - len(head)) + "\n"
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(path).write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() +
                                   struct.pack("<768f", *values))
for name, level in (("dark", -0.7), ("grey", 0.0), ("light", 0.7)):
    for i in range(20):
        npy(f"shapes/{name}/{i:02d}.npy", [level + noise() for _ in range(768)])
END
mnn train dynamic.onnx --data shapes --epochs 4 --unfreeze all --augment flip,light --batch 16 -o whole.mnn --json > whole.json 2>err
mnn train dynamic.onnx --data shapes --epochs 4 --unfreeze all --augment flip,light --batch 16 -o again.mnn --checkpoint run.ckpt -q > text
cmp whole.mnn again.mnn && echo same bytes
mnn train dynamic.onnx --data shapes --epochs 4 --unfreeze all --augment flip,light --batch 16 -o resumed.mnn --checkpoint run.ckpt --resume -q > text
cmp whole.mnn resumed.mnn && echo the same when there is nothing left to do
mnn train dynamic.onnx --data shapes --epochs 4 --unfreeze 1 --seed 5 -o x.mnn --checkpoint run.ckpt --resume -q > text 2>err || tail -1 err
python3 - <<'END'
import json
j = json.load(open("whole.json"))
print(j["trained_parameters"] == j["parameters"], j["on_features"], len(j["epochs"]), j["accuracy"] >= 0.9)
END
