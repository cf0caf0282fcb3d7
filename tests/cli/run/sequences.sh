mnn convert sequences.onnx -o s.mnn -q >/dev/null
mnn run s.mnn --inputs sequences --outputs out --json | tr -d " \n"
echo
ls out
mnn run sequences.onnx --inputs sequences --expect out -q >/dev/null && echo same
