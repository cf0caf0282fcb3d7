# Whatever --help shows is in the scripts and the manual pages.
mnn completion bash > all.bash
mnn completion zsh > all.zsh
mnn completion fish > all.fish
mnn completion man --dir pages
ls pages | head -3
mnn completion --json | python3 -c "
import json, subprocess, sys
scripts = {s: open(\"all.\" + s).read() for s in (\"bash\", \"zsh\", \"fish\")}
for t in json.load(sys.stdin):
    shown = subprocess.run([\"mnn\", t[\"command\"], \"--help\"], capture_output=True, text=True).stdout
    page = open(\"pages/mnn-\" + t[\"command\"] + \".1\").read().replace(chr(92), \"\")
    for flag in t[\"flags\"]:
        for name in flag[\"names\"]:
            assert name in shown and name in page and name in scripts[\"bash\"] and name in scripts[\"zsh\"], name
            assert (\"-l \" if name[1] == \"-\" else \"-s \") + name.lstrip(\"-\") in scripts[\"fish\"], name
print(\"all there\")"
