# What will run the nodes is known before the shapes are.
mnn convert dynamic.onnx -o d.mnn --report r.md -q >/dev/null
sed -n '/^## Operators/,/^## Passes/p' r.md | grep '^|'
grep reference r.md
