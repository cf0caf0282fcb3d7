# Every command knows the project: from its folder, from below, by name, and by --project.
mnn init cnn.onnx --dir p --calibration samples -q >/dev/null
# No figure of this machine's clock decides.
sed -i 's/^ *"bench"$//; s/"quant",$/"quant"/' p/mnn.json
(cd p && mnn quant -q --min-snr 5 >/dev/null)
mnn quant p -q | grep -c '^output'
mkdir p/below
(cd p/below && mnn inspect | head -1 | sed 's/.*\///')
mnn inspect p | head -1
mnn inspect --project p | head -1
mnn diff p -q
(cd p && mnn compare | head -1)
mnn compare p -q | head -1
(cd p/below && mnn run -q --outputs out && ls out | head -2)
mnn bench p --iterations 2 --json -q | python3 -c "import json, sys; print([r['model'] for r in json.load(sys.stdin)])"
mnn bench --project p --iterations 2 --report b.xml --report b.json --max-ms 1000000 --max-ratio 1000 --max-memory 4G | tail -3 | cut -d: -f1
grep -c 'testcase.*time=' b.xml
mnn bench p --iterations 2 --baseline b.json --max-regression 100000% -q | tail -2 | cut -d: -f1
mkdir none
cd none
mnn run --random 1
