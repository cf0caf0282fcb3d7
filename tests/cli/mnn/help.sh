mnn --help | head -1
