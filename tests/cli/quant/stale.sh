# After a missed threshold an older output stays, and that is said; a success takes OUT.rejected away.
mnn quant cnn.onnx -o q.mnn --calibration samples -q >/dev/null
sum=$(sha256sum < q.mnn)
mnn quant cnn.onnx -o q.mnn --calibration samples --min-snr 900 -q 2>err >/dev/null || echo "exit $?"
cat err
[ "$(sha256sum < q.mnn)" = "$sum" ] && ls q.mnn*
mnn quant cnn.onnx -o q.mnn --calibration samples --min-snr 900 --json 2>/dev/null | grep '"stale"' || true
mnn quant cnn.onnx -o q.mnn --calibration samples -q >/dev/null
ls q.mnn*
# In a project bench says which is older.
mnn init cnn.onnx --dir p --calibration samples -q >/dev/null
cd p
mnn quant -q >/dev/null
mnn quant --min-snr 900 -q >/dev/null 2>&1 || true
touch -d "1 hour ago" cnn.int8.mnn
mnn bench --iterations 2 -q 2>&1 >/dev/null
