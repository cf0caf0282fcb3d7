# Layers before the head, changed images, and a run that is taken up again.
python3 -c "import class_samples; class_samples.write()"
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
