mnn quant wide_channels.onnx -o plain.mnn --calibration samples --method minmax --export-scheme s.json -q >/dev/null
# The same by a scheme that smooths what the activation makes.
python3 -c "
import json
s = json.load(open('s.json'))
s['smoothing'] = [{'tensor': 'a1', 'alpha': 0.5, 'divisors': [1 + i % 4 for i in range(12)]}]
json.dump(s, open('smooth.json', 'w'))"
mnn quant wide_channels.onnx -o q.mnn --import-scheme smooth.json --calibration samples --report r.json -q >/dev/null
mnn inspect q.mnn --text | grep -c " smoothing ."
mnn compare wide_channels.onnx q.mnn --inputs samples --min-snr 15 --dump-layers dump | sed -n "s/  *[0-9.e-]*  .*ok/ ok/p; /bad layer/p"
# The quant report says the same of the same samples.
mkdir held && cp samples/sample_[0-3].npy held/
mnn quant wide_channels.onnx -o q.mnn --import-scheme smooth.json --holdout held --report r.json -q >/dev/null
mnn compare wide_channels.onnx q.mnn --inputs held --json -q > c.json
python3 -c "
import json
r, c = json.load(open('r.json')), json.load(open('c.json'))
told = {l['name']: l['accumulated']['snr_db'] for l in r['layers']}
seen = {l['name']: l['snr_db'] for l in c['layers']}
print(sorted(told), all(abs(told[n] - seen[n]) < 1 for n in told))
print(abs(r['outputs'][0]['snr_db'] - c['outputs'][0]['snr_db']) < 1)"
