mkdir few && cp samples/sample_[0-2].npy few/
mnn quant cnn.onnx -o q.mnn --calibration few --gate normal -q 2>&1 >/dev/null | sort
ls q.mnn*
mnn quant cnn.onnx -o q.mnn --calibration few --gate strict --report r.xml -q >/dev/null 2>&1 || code=$?
python3 -c "
import xml.etree.ElementTree as x
for c in x.parse('r.xml').getroot().iter('testcase'):
    if c.get('name') == 'sound-data': print(c.find('failure').get('message'))"
exit $code
