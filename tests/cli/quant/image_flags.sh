# The project keeps what init was told about images, flags win over it.
images="$CASES/../../data/images"
mkdir photos
for i in 1 2 3 4 5 6 7 8; do cp "$images/exif$i.jpg" photos/$i.jpg; done
cp "$images/rgb16.png" photos/9.png
mnn init cnn.onnx --dir p --calibration photos --image-fit letterbox --image-std 0.229,0.224,0.225 \
  --image-mean 0.485,0.456,0.406 --image-filter antialias -q >/dev/null
python3 -c "
import json
i = json.load(open('p/mnn.json'))['calibration']['image']
print(i['fit'], i['filter'], i['fill'], [round(m, 3) for m in i['mean']], [round(s, 6) for s in i['scale']])"
cd p
mnn quant -q | grep -c SNR
sed -i 's/"fit": "letterbox"/"fit": "letterbx"/' mnn.json
mnn quant -q
