#!/bin/sh
# Make the environment: tools/setup.sh [EXTRA...], for instance `tools/setup.sh test lint`. A second call does nothing.
#
#   PYTHON=python3.12     the Python to build on (3.11 to 3.14); found by itself if not given
#   VENV=.venv            where the environment goes
#   TORCH_INDEX=https://… one more index for torch, for instance one with CPU builds
set -eu
cd "$(dirname "$0")/.."
venv=${VENV:-.venv}
stamp=$venv/.vaekit-setup # three lines: this folder, the checksum of what was asked for, the extras installed
here=$(pwd -P)
sum=$(cat pyproject.toml constraints.txt | cksum)
export PIP_DISABLE_PIP_VERSION_CHECK=1

say() { echo "setup: $*" >&2; }
supported() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' >/dev/null 2>&1; }

find_python() {
    # The machine's own python3 comes first: it is the one its administrator provides packages for.
    for candidate in ${PYTHON:-python3 python3.11 python3.12 python3.13 python3.14 python}; do
        supported "$candidate" && "$candidate" -c 'import ensurepip' >/dev/null 2>&1 && echo "$candidate" && return
    done
    say "no Python 3.11 to 3.14 with its venv module among: ${PYTHON:-python3 python3.11 python3.12 python3.13 python3.14 python}"
    say "install one (on Debian and Ubuntu: python3 and python3-venv), or name it: PYTHON=/path/to/python make test"
    return 1
}

place='' old='' have=''
[ -f "$stamp" ] && { read -r place && read -r old && read -r have || true; } <"$stamp"
# An environment holds absolute paths: in a copied or moved folder it would quietly serve the old one.
if ! supported "$venv/bin/python" || { [ -n "$place" ] && [ "$place" != "$here" ]; }; then
    old='' have=''
    python=$(find_python)
    say "making $venv with $("$python" --version) (about a minute, more where torch is the CUDA build)"
    "$python" -m venv --clear "$venv"
fi

extras=$(printf '%s\n' $have "$@" | sed '/^$/d' | sort -u | tr '\n' ' ' | sed 's/ $//')
[ "$old" = "$sum" ] && [ "$extras" = "$have" ] && exit 0
rm -f "$stamp"
what=".${extras:+[$(echo "$extras" | tr ' ' ',')]}"
pip() { "$venv/bin/python" -m pip --quiet --quiet "$@"; }

# pip reads the machine's own configuration, where a CPU build of torch may be offered; uv does not. So torch is pip's.
say "torch"
pip install --no-compile ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} -c constraints.txt torch
say "$what"
if ! { pip install -c constraints.txt uv &&
    "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" -c constraints.txt -b constraints.txt -e "$what"; }; then
    say "uv could not do it here; pip tries"
    pip install -c constraints.txt -e "$what"
fi
printf '%s\n' "$here" "$sum" "$extras" >"$stamp"
