# What is no sample is skipped with a note: system files, labels, hidden files.
cp -r samples photos
touch photos/Thumbs.db photos/desktop.ini photos/.DS_Store photos/labels.txt photos/README.md
mkdir photos/__MACOSX && touch photos/__MACOSX/x
mnn quant cnn.onnx -o a.mnn --calibration samples -q
mnn quant cnn.onnx -o b.mnn --calibration photos -q
cmp a.mnn b.mnn && echo "same model"
mnn quant cnn.onnx -o b.mnn --calibration photos 2>&1 >/dev/null | grep skipped
touch photos/picture.webp
mnn quant cnn.onnx -o b.mnn --calibration photos -q 2>&1 >/dev/null
mnn compare cnn.onnx b.mnn --inputs photos 2>&1 >/dev/null | grep -c skipped
mkdir none && touch none/labels.txt
mnn quant cnn.onnx -o b.mnn --calibration none
