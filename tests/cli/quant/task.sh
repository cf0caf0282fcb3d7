q() { mnn quant two_units.onnx -o q.mnn --calibration samples --method minmax -q "$@"; }
# Metrics, and a program that gets both folders. It reads the number of samples and prints it last.
q --metric argmax --metric 'top2:y[:,2:]' --eval 'ls {ref}; wc -l < {test}/samples.txt' --report r.json | grep -v '^output' \
  | sed 's/0\.[0-9]*/0.x/'
python3 -c "
import json
d = json.load(open('r.json'))
print([m['name'] for m in d['metrics']], d['eval'], d['promotions'])"
echo 'test -f "$1/step_1/output_0.npy" && test -f "$2/step_0/output_0.npy" && echo it is 0.25 good' >judge.sh
q --eval 'sh judge.sh' --min-eval 0.3 2>&1 | grep -v '^output'
for bad in 'exit 4; :' 'echo none; :' 'echo inf; :' 'kill -9 $$; :' 'sleep 60; :'; do
  q --eval "$bad" --eval-timeout 1 2>&1 || echo "exit $?"
done
q --eval 'echo 1; :' --min-metric 0.5 2>&1 || echo "exit $?"
q --min-eval 0.5 2>&1 || echo "exit $?"
q --metric detections:y 2>&1 || echo "exit $?"
ls q.mnn*
