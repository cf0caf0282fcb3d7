# Each sample that cannot be read is an error that names it once, and leaves nothing behind.
cp samples/sample_0.npy whole.npy
check() { rm -rf bad; mkdir bad; cat > "bad/$1"; mnn quant cnn.onnx -o q.mnn --calibration bad 2>err && exit 1; echo "$? $(tail -n 1 err | cut -c1-60)"; }
head -c 200 whole.npy | check a.npy
echo hello | check a.npy
printf '\x89PNG\r\n\x1a\n0000000000' | check a.png
printf '\xff\xd8\xff\xe0xxxx' | check a.jpg
echo hello | check a.txt
rm -rf bad; mkdir bad; mkfifo bad/a.npy; mnn quant cnn.onnx -o q.mnn --calibration bad 2>err && exit 1; echo "$? $(tail -n 1 err)"
rm -rf bad; mkdir bad; ln -s a.npy bad/a.npy; mnn quant cnn.onnx -o q.mnn --calibration bad 2>err && exit 1; echo "$? $(tail -n 1 err)"
ls q.mnn* 2>/dev/null || echo "nothing written"
