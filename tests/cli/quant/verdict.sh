# Every threshold, reached or missed, in the report, on stdout and in JUnit.
mnn quant cnn.onnx -o q.mnn --calibration samples --min-snr 150 --min-cosine 0.5 --max-size 10 --report r.json --report r.xml --report r.html --json > out.json 2> err || echo "exit code $?"
cat err
python3 - <<'END'
import json
for d in (json.load(open("r.json")), json.load(open("out.json"))):
    print(d["passed"], [m.split(":")[0] for m in d["missed"]], d["tool"].split()[0])
    print([(t["name"], t["limit"], t["passed"]) for t in d["thresholds"]])
    print(d["command"])
END
grep -o '<testsuite name="[^"]*"' r.xml
grep -c '<testsuite .* time="[0-9.]*"' r.xml
grep -o "min-snr of output y 150 dB</td><td>missed" r.html
mnn quant cnn.onnx -o a.mnn --calibration samples --threads 1 --report a.json -q >/dev/null
mnn quant cnn.onnx -o b.mnn --calibration samples --threads 2 --report b.json -q >/dev/null
cmp a.json b.json && echo "the same for any threads and names"
