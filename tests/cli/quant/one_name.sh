mnn quant cnn.onnx -o q.mnn --calibration samples --report r.json --report r.html > out.txt
grep -A 2 "^tried" out.txt | head -1
grep -c "(chosen)" out.txt
grep -o "output y: pooled SNR" out.txt
grep -o "samples: mean SNR .* dB, worst SNR" out.txt | sed "s/[0-9.]* dB/x dB/"
python3 -c "
import json
d = json.load(open('r.json'))
chosen = [c for c in d['candidates'] if c['chosen']]
print(len(chosen), chosen[0]['method'] == d['method'], chosen[0]['mean_sample_snr_db'] == d['mean_sample_snr_db'],
      chosen[0]['worst_sample_snr_db'] == d['worst_sample_snr_db'])
each = [s['snr_db'] for s in d['samples']]
print([s['name'] for s in d['samples']], abs(sum(each) / len(each) - d['mean_sample_snr_db']) < 1e-9)"
grep -c ">chosen<" r.html
