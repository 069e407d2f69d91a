#!/bin/sh
# Write constraints.txt anew: one exact version of everything that the set-up may install, for Python 3.11 to 3.14.
#
# Nothing younger than seven days is taken: a poisoned release is mostly found and withdrawn within that time.
# torch brings its own CUDA packages, or none on a CPU machine; pinning them here would force them on everybody.
set -eu
cd "$(dirname "$0")/.."
uv=${UV:-${VENV:-.venv}/bin/uv}
torch=${TORCH:-torch==2.13.0} # the release the tests run on: raised on purpose, never by the way

new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
printf '%s\n' "$torch" uv hatchling editables |
    "$uv" pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate \
        --exclude-newer '7 days' --all-extras pyproject.toml - --output-file "$new/all.txt" >"$new/log"
{
    echo "# Exact versions of everything the set-up installs. Written by tools/pins.sh (make pins); not edited by hand."
    grep -vE '^(nvidia-|cuda-|triton)' "$new/all.txt"
} >constraints.txt
