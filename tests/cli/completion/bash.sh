source <(mnn completion bash)
try() {
  COMP_WORDS=("$@")
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
  _mnn
  printf "%s\n" "${COMPREPLY[*]}"
}
try mnn be
try mnn bench --prof
try mnn-bench --base
try mnn run --backend ref
try mnn quant --method m
try mnn completion z
touch "a model.onnx"
try mnn inspect "a m"
complete -p mnn mnn-quant
