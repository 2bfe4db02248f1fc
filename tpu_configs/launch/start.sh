#!/usr/bin/env bash
# Start a training in the background, on one host.
#
#   start.sh OPTIONS             those of experiments/train.py
#
# In the home folder, what it prints is added to train.log, and its exit status is left in
# train.exit when it ends: 130 as well if it was asked to stop, and saved what it had. While it runs
# it holds train.lock, and no second one starts.
set -euo pipefail
cd "$(dirname "$0")/../.."
. "$HOME/jaxcrys-venv/bin/activate"
exec 9> "$HOME/train.lock"
flock --nonblock 9 || { echo "a training is running here already" >&2; exit 1; }
rm -f "$HOME/train.exit"
nohup bash -c '
  status=0
  python experiments/train.py "$@" > ~/train.out || status=$?
  if [ $status = 0 ] && grep -q ": saved at step" ~/train.out; then status=130; fi
  cat ~/train.out
  echo $status > ~/train.exit
' train "$@" >> "$HOME/train.log" 2>&1 < /dev/null &
