#!/bin/sh
# compile_kernels.sh PRINT_KERNELS GLSLC FOLDER OUTPUT: prints the kernels into the folder, compiles
# each, and writes them as C arrays with their table.
set -eu
mkdir -p "$3"
rm -f "$3"/*.comp
"$1" glsl "$3"
{
  for source in "$3"/*.comp; do
    name="$(basename "$source" .comp)"
    "$2" -O --target-env=vulkan1.1 -mfmt=num -o "$3/$name.num" "$source"
    echo "const uint32_t k_${name}[] = {"
    cat "$3/$name.num"
    echo "};"
  done
  echo "const Spirv kSpirv[] = {"
  for source in "$3"/*.comp; do
    name="$(basename "$source" .comp)"
    echo "    {\"$name\", k_$name, sizeof(k_$name)},"
  done
  echo "};"
} > "$4.part"
mv "$4.part" "$4"
