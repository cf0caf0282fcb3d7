# Each script loads where its shell is installed.
mnn completion bash > s && bash -n s && echo bash
if command -v zsh >/dev/null; then
  mnn completion zsh > s && zsh -fc "autoload -U compinit; compinit -u -D; source ./s; [[ \$_comps[mnn] == _mnn ]]" || echo zsh failed
fi
if command -v fish >/dev/null; then
  mnn completion fish > s.fish && [ "$(HOME=$PWD fish --no-config -c "source s.fish; complete -C 'mnn be'" | cut -f 1)" = bench ] || echo fish failed
fi
