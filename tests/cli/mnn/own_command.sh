mkdir tools
printf "#!/bin/sh\necho \"hello \$*\"\nexit 9\n" > tools/mnn-hello
chmod +x tools/mnn-hello
touch tools/mnn-data
export PATH=$PATH:$PWD/tools
mnn --help | grep hello
mnn --help | grep -c mnn-data || true
mnn hello big world
