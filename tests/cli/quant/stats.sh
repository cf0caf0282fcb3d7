# Parts of the samples looked at by themselves, in two rounds, come to the same file as one run.
q() { mnn quant cnn.onnx --calibration samples -q "$@"; }
mkdir held && cp samples/$(ls samples | tail -1) held/
n=$(ls samples | wc -l)
q -o one.mnn --holdout held >/dev/null 2>&1
q --stats-only r0.json --samples 0:3
q --stats-only r1.json --samples 3:4 --threads 2
q --stats-only r2.json --samples 4:$n >/dev/null
for part in 0:3 3:4 4:$n; do q --stats-only c$part.json --samples $part --stats r0.json r1.json r2.json; done 2>&1 | sed "s/4:$n/4:n/; s/$((n - 4)) samples/n-4 samples/"
q -o two.mnn --holdout held --stats c0:3.json c3:4.json c4:$n.json >/dev/null 2>&1
cmp one.mnn two.mnn && echo the same bytes
# In another order, put together first; ranges do for minmax.
mnn quant cnn.onnx --stats-only all.json --stats c4:$n.json c0:3.json c3:4.json -q >/dev/null
q -o three.mnn --holdout held --stats all.json >/dev/null 2>&1
cmp one.mnn three.mnn && echo the same bytes
q -o min.mnn --method minmax --holdout held >/dev/null 2>&1
q -o min2.mnn --method minmax --holdout held --stats r2.json r1.json r0.json >/dev/null 2>&1
cmp min.mnn min2.mnn && echo the same bytes
# What is no calibration of these samples.
q -o no.mnn --holdout held --stats c0:3.json c3:4.json 2>&1 | sed "s/has $n/has n/" || true
q -o no.mnn --holdout held --stats r0.json r1.json r2.json 2>&1 || echo "exit $?"
q -o no.mnn --stats all.json 2>&1 || echo "exit $?"
q -o no.mnn --holdout held --stats r0.json c3:4.json 2>&1 || echo "exit $?"
q --stats-only no.json --keep-float classifier --stats r0.json 2>&1 || echo "exit $?"
q --stats-only no.json --samples 3:99 2>&1 | sed "s/of $n/of n/" || true
q --stats-only no.json --scheme w4 2>&1 || echo "exit $?"
echo '{"format": "mnn-quant-stats", "version": 1}' > bad.json
q --stats-only no.json --stats bad.json 2>&1 || echo "exit $?"
python3 - <<'PY'
import json
s = json.load(open("all.json"))
s["bins"][0][0] = -10**9
json.dump(s, open("bad.json", "w"))
PY
q -o no.mnn --holdout held --stats bad.json 2>&1 || echo "exit $?"
ls no.* 2>/dev/null || echo nothing written
