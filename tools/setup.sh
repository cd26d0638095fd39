#!/bin/sh
# Create .venv and install the pinned packages into it. Every download is checked against a hash in
# constraints/dev.txt, the installer (uv) included. `make setup` runs this when something changed.
set -eu

LOCK=constraints/dev.txt
VENV_PYTHON=.venv/bin/python
NEW_ENOUGH='import sys; sys.exit(sys.version_info < (3, 11))'

fail() {
    echo "setup: $1" >&2
    exit 1
}

find_python() {
    for name in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if "$name" -c "$NEW_ENOUGH" >/dev/null 2>&1; then
            echo "$name"
            return
        fi
    done
    fail "no Python 3.11 or newer among: ${PYTHON:-python3 python3.11 ... python3.14}.
Install one, or name it: make setup PYTHON=/path/to/python3"
}

create_environment() {
    python=$(find_python)
    echo "setup: creating .venv with $("$python" --version)" >&2
    "$python" -m venv --clear .venv ||
        fail "'$python -m venv' failed. On Debian and Ubuntu: apt install python3-venv"
}

install_uv() {
    # The lines of uv and its hashes, so that the pin lies in one place.
    awk '/^[^ #]/ { wanted = /^uv==/ } wanted' "$LOCK" >.venv/uv.txt
    pinned=$(sed -n 's/^uv==\([0-9.]*\).*/\1/p' .venv/uv.txt)
    case "$(.venv/bin/uv --version 2>/dev/null || true)" in
    "uv $pinned" | "uv $pinned "*) return ;;
    esac
    "$VENV_PYTHON" -m pip install --quiet --disable-pip-version-check \
        --require-hashes --no-deps -r .venv/uv.txt ||
        fail "pip could not install uv $pinned; its message is above"
}

"$VENV_PYTHON" -c "$NEW_ENOUGH" >/dev/null 2>&1 || create_environment
install_uv
echo "setup: installing the pinned packages (about 6 GB once, nearly all of it torch)" >&2
.venv/bin/uv pip install --python "$VENV_PYTHON" --require-hashes -r "$LOCK"
# No build isolation: setuptools is one of the pinned packages, so nothing unpinned is fetched.
.venv/bin/uv pip install --quiet --python "$VENV_PYTHON" --no-deps --no-build-isolation -e .
