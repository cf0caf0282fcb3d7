# What is no model at all is named too: exit 4 and what to do.
mkdir other
: > other/empty.onnx
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n' > other/lfs.onnx
printf '\n<!DOCTYPE html>\n<html><body>404</body></html>\n' > other/page.onnx
gzip -c cnn.onnx > other/packed.onnx.gz
tar cf other/packed.tar cnn.onnx
python3 -c "
import zipfile
zipfile.ZipFile('other/model.zip', 'w').write('cnn.onnx')
zipfile.ZipFile('other/notes.zip', 'w').writestr('notes.txt', 'x')
zipfile.ZipFile('other/tensors.npz', 'w').write('samples/sample_0.npy', 'x.npy')
open('other/cut.zip', 'wb').write(open('other/model.zip', 'rb').read()[:40])
open('other/tensor.pb', 'wb').write(b'\x08\x02\x10\x01\x42\x01xJ\x08' + bytes(8))"
cp samples/sample_0.npy other/tensor.npy
printf '\x89PNG\r\n\x1a\n' > other/image.png
echo '{"model": "m.mnn"}' > other/mnn.json
echo "weights are on the server" > other/notes.txt
head -c 300 cnn.onnx | tail -c 200 > other/zz_bytes
for f in other/*; do
  mnn inspect "$f" 2>err && code=0 || code=$?
  echo "$code $(sed 's/^mnn: error: //' err)"
done
