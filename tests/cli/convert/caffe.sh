# A network and its weights: found by name, given, missing, of another network; both are inputs.
python3 - <<'END'
import struct
from protobuf_bytes import field
def weights(*numbers):
    blob = field(7, field(5, struct.pack("<%df" % len(numbers), *numbers)))
    return field(100, field(1, b"ip") + field(2, b"InnerProduct") + blob)
text = '''name: "tiny"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 1 bias_term: false } }
layer { name: "relu" type: "ReLU" bottom: "ip" top: "ip" }
'''
for name in ("net", "alone"):
    open(name + ".prototxt", "w").write(text)
open("net.caffemodel", "wb").write(weights(2, 3))
open("other.caffemodel", "wb").write(weights(2, 3, 4))
open("old.prototxt", "w").write('layers { layer { name: "c" type: "conv" } }')
open("odd.prototxt", "w").write('layer { name: "a" type: "Odd" top: "a" }\nlayer { name: "p" type: "Python" top: "p" }')
END
try() {
  "$@" >out 2>err && code=0 || code=$?
  echo "$code $(sed 's/^mnn: error: //' err | tail -1)"
}
try mnn convert net.prototxt -o net.mnn
grep -E "inputs|outputs|source " out
try mnn convert alone.prototxt -o alone.mnn
try mnn convert alone.prototxt -o alone.mnn --import weights=net.caffemodel
cmp net.mnn alone.mnn 2>/dev/null || echo "the file keeps the key"
try mnn convert alone.prototxt -o b.mnn --import weights=other.caffemodel
try mnn convert alone.prototxt -o b.mnn --import weights=cnn.onnx
try mnn convert net.prototxt -o net.caffemodel
try mnn convert old.prototxt -o b.mnn --import weights=net.caffemodel
try mnn convert odd.prototxt -o b.mnn --import weights=net.caffemodel
grep -c "is not supported" err
hashed=$(sha256sum net.prototxt net.caffemodel | cut -c-64 | sha256sum | cut -c-64)
mnn convert net.prototxt -o net.mnn --json | grep -c "$hashed"
python3 -c "
import struct
open('x.npy','wb').write(b'\x93NUMPY\x01\x00' + struct.pack('<H', 118) + b\"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }\".ljust(117) + b'\n' + struct.pack('<2f', 1, 10))"
mkdir in && mv x.npy in/data.npy
mnn run net.mnn --inputs in --outputs got >/dev/null
python3 -c "import struct; print(struct.unpack('<f', open('got/output_0.npy','rb').read()[-4:])[0])"
