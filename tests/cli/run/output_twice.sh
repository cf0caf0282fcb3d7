mnn convert twice.onnx -o t.mnn -q >/dev/null
mnn convert twice.onnx -o plain.mnn --no-fuse -q >/dev/null
mnn run twice.onnx --random 3 --shape x=2,3 --outputs ref --json | tr -d " \n"
echo
cmp ref/output_0.npy ref/output_2.npy && echo same
for model in t.mnn plain.mnn; do
  mnn run $model --random 3 --shape x=2,3 --expect ref -q >/dev/null && echo $model
done
mnn compare twice.onnx t.mnn --random 3 --shape x=2,3 --outputs-only
mnn inspect t.mnn --text
