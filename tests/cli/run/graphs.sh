# Small graphs with what ONNX Runtime makes of them, as scripts/fuzz_graphs.py keeps them.
for graph in "$CASES"/../../data/graphs/*; do
  echo "$(basename "$graph")"
  mnn run "$graph/model.onnx" --inputs "$graph" --expect "$graph" --rtol 1e-4 --atol 1e-4 -q >/dev/null
  mnn convert "$graph/model.onnx" -o fused.mnn -q >/dev/null
  mnn run fused.mnn --inputs "$graph" --expect "$graph" --rtol 1e-4 --atol 1e-4 -q >/dev/null
  mnn convert "$graph/model.onnx" -o plain.mnn --no-fuse -q >/dev/null
  mnn run plain.mnn --inputs "$graph" --expect "$graph" --rtol 1e-4 --atol 1e-4 -q >/dev/null
done
