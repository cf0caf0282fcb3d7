# TorchScript files: script, trace, frozen, quantized, for mobile, with state; what is missing is said with the flag to give.
data="$CASES/../../data"
for file in convnet.script convnet.trace convnet.frozen convnet.mobile; do
  mnn convert "$data/torchscript/$file.pt" --shape x=2,3,9,7 -o $file.mnn -q >/dev/null
  mnn inspect $file.mnn | sed -n '/^operator/,$p' | tail -n +2 | tr -s ' \n' ' ' && echo
done
echo "-- without shapes: dims stay dynamic, or the rank that was taken is said"
mnn convert "$data/torchscript/convnet.script.pt" -o open.mnn -q >/dev/null
mnn inspect open.mnn | grep ^inputs
mnn convert "$data/torchscript/words.script.pt" -o words.mnn 2>&1 >/dev/null
mnn inspect words.mnn | grep ^inputs
code=0; mnn convert "$data/torchscript/containers.script.pt" -o none.mnn 2>err || code=$?
echo "exit $code"; sed "s|$data/||" err
echo "-- quantized modules run on bytes"
mnn convert "$data/torchscript/quantized.script.pt" --shape x=2,3,8,8 -o quantized.mnn -q >/dev/null
mnn inspect quantized.mnn | grep -E "^(int8 MACs|parameters)"
echo "-- states and arguments"
mnn convert "$data/torchscript/stream.script.pt" --shape x=1,4 --import arguments=rate=16 -o stream.mnn -q >/dev/null
mnn inspect stream.mnn | grep -E "^(inputs|outputs)"
code=0; mnn convert "$data/torchscript/stream.script.pt" --shape x=1,4 --import arguments=rate=5 -o none.mnn 2>err || code=$?
echo "exit $code"; sed "s|$data/||" err
ls none.mnn 2>/dev/null || echo "nothing written"
