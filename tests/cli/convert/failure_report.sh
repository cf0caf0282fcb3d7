# A failed import still writes its reports, with every node that is not supported; so does --json.
mnn convert unsupported.onnx -o o.mnn --json --report r.json --report r.html --report r.md > out.json 2>err && exit 1
echo "exit $?"
cmp out.json r.json && python3 - <<'END'
import json
d = json.load(open("r.json"))
e = d["error"]
print(e["exit_code"], e["kind"], d["model"], d["format"], "opset" in d["facts"])
for p in e["problems"]:
    print(p["node"], p["op"], p["kind"], p["message"])
for f in ("r.html", "r.md"):
    text = open(f).read()
    print(f, all(w in text for w in ("FooBar", "first", "BarFoo", "second")))
END
ls o.mnn 2>/dev/null || echo "no model"
# The same of every command with a report.
mnn quant unsupported.onnx -o q.mnn --calibration samples --report q.json --report q.xml 2>/dev/null || echo "exit $?"
python3 -c "
import json, xml.etree.ElementTree as E
print([p['node'] for p in json.load(open('q.json'))['error']['problems']])
print(E.parse('q.xml').getroot().get('failures'))"
mnn compare unsupported.onnx cnn.onnx --random 1 --report c.html 2>/dev/null || echo "exit $?"
grep -c "FooBar" c.html
# Wrong usage and what could be written leave nothing of the kind.
mnn convert cnn.onnx -o o.mnn --shape nothing=1 --report u.json 2>/dev/null || echo "exit $?"
ls u.json 2>/dev/null || echo "no report"
mnn quant cnn.onnx -o q2.mnn --calibration samples --min-snr 900 --report m.json -q >/dev/null 2>&1 || echo "exit $?"
python3 -c "
import json
d = json.load(open('m.json'))
print('error' in d, len(d['layers']) > 0)"
