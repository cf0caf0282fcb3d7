mnn compare cnn.onnx other_weights.onnx --inputs samples --min-snr 60 --report r.xml --report r.html --report r.json -q >/dev/null || code=$?
python3 -c "
import json, xml.etree.ElementTree as x
s = x.parse(\"r.xml\").getroot()
bad = [c for c in s.iter(\"testcase\") if c.find(\"failure\") is not None]
print(s.get(\"tests\"), s.get(\"failures\"), len(bad), bad[0].get(\"classname\"))
print([c.get(\"name\") for c in s.iter(\"testcase\") if c.find(\"failure\") is None])
print(\"dB is below 60.00 dB\" in bad[1].find(\"failure\").get(\"message\"))
d = json.load(open(\"r.json\"))
print(d[\"passed\"], d[\"first_bad_layer\"])"
grep -c http r.html || true
exit $code
