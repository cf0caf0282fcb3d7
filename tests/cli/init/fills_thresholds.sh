# The first results of a project set the thresholds that nobody has set; later ones are held to them.
mnn init cnn.onnx --dir p --calibration samples -q >/dev/null
cd p
show() {
  python3 -c "
import json
t = json.load(open('mnn.json'))['thresholds']
print(t.pop('fill'), *sorted(k for k in t if t[k] is not None))"
}
show
mnn quant >/dev/null 2>log && grep -c 'thresholds from this result: min_cosine' log
show
mnn bench --iterations 20 >/dev/null 2>log && grep -c 'thresholds from this result: max_memory' log
show
cp mnn.json before.json
mnn quant -q >/dev/null && cmp mnn.json before.json && echo held
# What has a value keeps it.
cd ..
mnn init cnn.onnx --dir q --calibration samples -q >/dev/null
cd q
sed -i 's/"min_snr": null/"min_snr": -5/; s/"max_size": null/"max_size": 100000/' mnn.json
mnn quant -q >/dev/null
show
python3 -c "import json; t = json.load(open('mnn.json'))['thresholds']; print(t['min_snr'], t['max_size'])"
