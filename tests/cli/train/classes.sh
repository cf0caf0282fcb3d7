# Three classes that a mean tells apart: the new head learns them, the same for any number of threads.
python3 -c "import class_samples; class_samples.write()"
mnn train cnn.onnx --data shapes --epochs 20 -o mine.mnn --export-onnx mine.onnx --json 2>err > out.json
python3 - <<'END'
import json
j = json.load(open("out.json"))
print(j["classes"], j["samples"], j["held_back"], j["replaced_layer"], j["on_features"], len(j["epochs"]))
print("learned", j["accuracy"] >= 0.9, sum(map(sum, j["confusion"])))
END
cat mine.labels.txt
mnn train cnn.onnx --data shapes --epochs 20 -o two.mnn --threads 2 -q > text
cmp mine.mnn two.mnn && echo same bytes
mnn run mine.mnn --inputs shapes/light/03.npy --outputs out --labels mine.labels.txt --top 1 -q
mnn compare mine.mnn mine.onnx --inputs shapes/grey --min-snr 80 -q > text && echo same as ONNX
