#!/usr/bin/env python3
"""Opens a quantization report of 1,000 layers in headless Chromium and uses it: sorts, filters, follows
links, reads the plots.

  check_page.py [--bin build/release/bin] [--layers 1000]

Exit code 1 when something is not as it should be, 77 with a line where Chromium (Debian's package)
is not installed and cannot be.
"""
import argparse
import html
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SKIP = 77
# What a person does on the page. Times are of the browser's own clock, ms.
SCRIPT = """
<pre id="result"></pre><script>addEventListener('load', () => {
  const out = {}, table = document.getElementById('layers');
  const rows = () => [...table.tBodies[0].rows], visible = () => rows().filter(r => r.offsetParent !== null);
  const heads = [...table.tHead.rows[0].cells], column = name => heads.findIndex(h => h.textContent === name);
  const numbers = c => rows().map(r => +r.cells[c].dataset.v);
  const rising = a => a.every((x, i) => i === 0 || a[i - 1] <= x);
  const timed = f => { const t = performance.now(); f(); document.body.offsetHeight; return performance.now() - t; };
  try {
    out.rows = rows().length;
    out.columns = heads.map(h => h.textContent);
    out.ragged = rows().filter(r => r.cells.length !== heads.length).length;
    const noise = column('noise %'), names = rows().map(r => r.cells[0].textContent);
    out.sort_ms = timed(() => heads[noise].click());
    out.up = rising(numbers(noise));
    heads[noise].click();
    out.down = rising(numbers(noise).reverse());
    heads[column('layer')].click();
    out.texts = rising(rows().map(r => r.cells[0].textContent));
    out.same = JSON.stringify(rows().map(r => r.cells[0].textContent).sort()) === JSON.stringify(names.sort());
    const filter = document.getElementById('filter');
    const type = text => { filter.value = text; filter.dispatchEvent(new Event('input')); };
    out.filter_ms = timed(() => type('matmul w4'));
    out.filtered = visible().length;
    out.fit = visible().every(r => r.cells[1].textContent === 'MatMul' && r.cells[2].textContent === 'w4');
    out.shown = document.getElementById('shown').textContent;
    type('no such layer');
    out.none = visible().length;
    type('');
    out.all = visible().length;
    const strip = [...document.querySelectorAll('#strip a')];
    out.strip = strip.length;
    out.along = rising(strip.map(a => +a.title.match(/layer_(\\d+)/)[1]));
    strip[5].click();
    out.target = document.querySelector('tr:target').cells[0].textContent;
    const bars = [...document.querySelectorAll('#bars .bar')], widths = bars.map(b => b.querySelector('i').offsetWidth);
    out.bars = bars.length;
    out.sorted = rising([...widths].reverse()) && widths[0] > widths[widths.length - 1];
    out.curves = document.querySelectorAll('svg.dist').length;
    out.cuts = document.querySelectorAll('svg.dist .cut').length;
    out.points = document.querySelectorAll('#pareto circle').length;
    out.drawn = document.querySelector('#pareto polyline').getTotalLength() > 100;
    out.foreign = performance.getEntriesByType('resource').length;
  } catch (e) { out.error = String(e); }
  document.getElementById('result').textContent = JSON.stringify(out);
});</script>"""


def browser():
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found:
        return found
    lib = os.path.join(ROOT, "scripts", "lib.sh")
    subprocess.run(["bash", "-c", f'source "{lib}" && install_packages chromium'])
    return shutil.which("chromium")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.path.join(ROOT, "build", "release", "bin"))
    parser.add_argument("--layers", type=int, default=1000)
    options = parser.parse_args()
    chromium = browser()
    if not chromium:
        print("skipped: Chromium is not installed and cannot be")
        return SKIP
    with tempfile.TemporaryDirectory() as work:
        page = os.path.join(work, "page.html")
        subprocess.run([os.path.join(options.bin, "make_page"), page, str(options.layers)], check=True)
        with open(page, encoding="utf-8") as file:
            text = file.read()
        with open(page, "w", encoding="utf-8") as file:
            file.write(text.replace("</body>", SCRIPT + "</body>"))
        begin = time.monotonic()
        done = subprocess.run([chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                               f"--user-data-dir={work}/profile", "--window-size=1400,900", "--dump-dom",
                               "--virtual-time-budget=20000", "file://" + page],
                              capture_output=True, text=True, timeout=300)
        took = time.monotonic() - begin
    result = re.search(r'<pre id="result">(.*?)</pre>', done.stdout, re.S)
    if not result or not result.group(1):
        print(f"no result: exit code {done.returncode}\n{done.stderr[-2000:]}")
        return 1
    found = json.loads(html.unescape(result.group(1)))
    n = options.layers
    both = sum(i % 15 == 0 for i in range(n))
    wanted = {"rows": n, "ragged": 0, "up": True, "down": True, "texts": True, "same": True, "filtered": both,
              "fit": True, "shown": f"{both} of {n}", "none": 0, "all": n, "strip": n, "along": True,
              "target": "layer_5", "bars": min(40, n), "sorted": True, "curves": 2 * n, "cuts": 2 * n, "points": 20,
              "drawn": True, "foreign": 0}
    wrong = [f"{k}: expected {v!r}, found {found.get(k)!r}" for k, v in wanted.items() if found.get(k) != v]
    # An idle machine takes half a second; a busy one may take longer, what is quadratic never gets there.
    wrong += [f"{k}: {found.get(k)} ms" for k in ("sort_ms", "filter_ms") if not found.get(k, 1e9) < 10000]
    if "error" in found:
        wrong.append("script: " + found["error"])
    for line in wrong:
        print(line)
    print(f"{len(text)} bytes, {n} layers: sorted in {found.get('sort_ms', 0):.0f} ms, filtered in "
          f"{found.get('filter_ms', 0):.0f} ms, Chromium took {took:.1f} s; {'FAILED' if wrong else 'ok'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
