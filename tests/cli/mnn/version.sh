mnn --version
