mnn quant recurrent.onnx -o q.mnn --calibration sequence_samples --report r.json > out.txt
grep "^int8 share" out.txt
python3 -c "
import json
d = json.load(open('r.json'))
print(d['macs'], round(d['int8_mac_share'], 6))
print([(i['op'], i['why'], i['layers'], i['constant_bytes']) for i in d['float_islands'] if i['mac_share'] > 0])
print(d['float_constants'][0]['layer'], sum(c['bytes'] for c in d['float_constants']) > 6000)"
mnn inspect q.mnn --json | python3 -c "import json,sys; d=json.load(sys.stdin); print(d['macs'], round(d['int8_mac_share'], 6))"
mnn inspect q.mnn | grep "int8 MACs"
