mnn quant cnn.onnx -o a.mnn --calibration samples --export-scheme s.json -q >/dev/null
mnn quant cnn.onnx -o b.mnn --import-scheme s.json --export-scheme t.json -q >/dev/null
cmp a.mnn b.mnn && cmp s.json t.json && echo same
# A layer kept in float by hand, measured on samples.
python3 -c "
import json
s = json.load(open('s.json'))
s['layers'][0]['precision'] = 'float'
json.dump(s, open('edited.json', 'w'))"
mnn quant cnn.onnx -o c.mnn --import-scheme edited.json --holdout samples --json -q |
  python3 -c "import json,sys; r=json.load(sys.stdin); print(r['int8_mac_share'] < 1, r['outputs'][0]['snr_db'] > 15)"
