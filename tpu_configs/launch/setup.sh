#!/usr/bin/env bash
# Make a fresh machine ready: an environment with jaxcrys in it, and a bucket mounted at /mnt/runs.
#
#   setup.sh EXTRA [BUCKET]      for example: setup.sh tpu my-bucket
#
# Python 3.11, with which the tests run, comes with uv: the images of TPU machines have an older one.
# A second time, what is there stays. The bucket needs a hierarchical namespace (see ../README.md).
set -euo pipefail
cd "$(dirname "$0")/../.."
extra=$1 bucket=${2:-}
environment=$HOME/jaxcrys-venv

uv=$HOME/uv/bin/uv
[ -x "$uv" ] || python3 -m pip install --quiet --target "$HOME/uv" uv
[ -d "$environment" ] || "$uv" venv --python 3.11 "$environment"
"$uv" pip install --quiet --python "$environment/bin/python" -e ".[$extra]"

if [ -n "$bucket" ] && ! mountpoint --quiet /mnt/runs; then
  if ! command -v gcsfuse > /dev/null; then
    key=/usr/share/keyrings/cloud.google.asc list=/etc/apt/sources.list.d/gcsfuse.list
    source="https://packages.cloud.google.com/apt gcsfuse-$(lsb_release -c -s) main"
    curl -fsSL https://packages.cloud.google.com/apt/doc/apt-key.gpg | sudo tee "$key" > /dev/null
    echo "deb [signed-by=$key] $source" | sudo tee "$list" > /dev/null
    sudo apt-get update --quiet
    sudo apt-get install --quiet --yes gcsfuse
  fi
  sudo mkdir -p /mnt/runs
  sudo chown "$(id -un)" /mnt/runs
  gcsfuse "$bucket" /mnt/runs
fi
