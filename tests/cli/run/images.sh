images="$CASES/../../data/images"
mnn run cnn.onnx --random 1 --json | python3 -c "import json, sys; print(json.load(sys.stdin)['outputs'][0]['shape'])"
mkdir photos
cp "$images/rgb.png" photos/cat.png
cp "$images/exif6.jpg" photos/dog.jpg
seq 0 9 | sed 's/^/class /' > labels.txt
mnn run cnn.onnx --inputs photos --outputs out --labels labels.txt --top 2
find out -type f | sort
# One image; the same numbers.
mnn run cnn.onnx --inputs photos/cat.png --outputs one -q
cmp one/output_0.npy out/cat/output_0.npy && echo the same
mnn run cnn.onnx --inputs photos --top 1 --json | python3 -c "
import json, sys
d = json.load(sys.stdin)
print([s['name'] for s in d['steps']], len(d['top']), d['top'][0]['label'] == '')"
mnn run cnn.onnx --inputs photos/cat.png --image-fit letterbox --image-mean 0.5 --image-std 0.5 --outputs box -q
cmp -s box/output_0.npy one/output_0.npy || echo another
mnn run cnn.onnx --inputs photos/cat.png --image-mean 1,2 2>&1 | cat
mnn run cnn.onnx --inputs photos/cat.png --image-mean 127.5 --image-std 0.5 2>&1 | cat
seq 3 > labels.txt
mnn run cnn.onnx --inputs photos --labels labels.txt
