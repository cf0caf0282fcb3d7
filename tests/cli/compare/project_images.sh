# A model of a project is compared on images as the project reads them, and images of a model with
# open sizes get those the other model was bound to.
images="$CASES/../../data/images"
mkdir photos
for i in 1 2 3 4 5 6 7 8; do cp "$images/exif$i.jpg" photos/$i.jpg; done
mnn init cnn.onnx --dir p --calibration photos --image-mean 127.5 --image-scale 0.007843137 -q >/dev/null
(cd p && mnn quant -q >/dev/null)
mnn compare p/cnn.mnn p/cnn.int8.mnn --inputs photos --outputs-only --json | python3 -c "
import json, sys
print(round(json.load(sys.stdin)['outputs'][0]['snr_db'], 3))" > with
mnn compare p --outputs-only --json | python3 -c "
import json, sys
print(round(json.load(sys.stdin)['outputs'][0]['snr_db'], 3))" > alone
cmp with alone && echo the same
mnn compare p/cnn.mnn
