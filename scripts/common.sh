# Sourced by the other scripts: makes the checkout's virtual environment, and installs packages in it.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv="$root/.venv"
cd "$root" || exit 1

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "error: $*"
    exit 1
}

# Prints the path of the first Python of version 3.11 or later. $PYTHON is tried first.
find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.11 python3.12 python3.13 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

make_venv() {
    local python
    [ "$(uname -s)" = Linux ] || fail "actorrt runs on Linux, and this is $(uname -s)"
    python=$(find_python) ||
        fail "no Python 3.11 or later found (python3 is $(python3 --version 2>/dev/null || echo missing)); install one, or name it: PYTHON=/path/to/python3.11 $0"
    say "making a virtual environment in .venv with $("$python" --version) ..."
    if ! "$python" -m venv "$venv"; then
        rm -rf "$venv"
        fail "$python cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv"
    fi
}

# install EXTRAS: installs actorrt with these extras and the pinned torch in the environment. Does nothing if the same
# requirements are installed already.
install() {
    local extras=$1 stamp key
    "$venv/bin/python" -c '' 2>/dev/null || { rm -rf "$venv"; make_venv; }
    stamp="$venv/.installed-$extras"
    key=$(cat setup.cfg pyproject.toml scripts/torch-requirement.txt | sha256sum)
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$key$root" ]; then
        return
    fi
    say "installing actorrt[$extras] and torch into .venv (some minutes the first time) ..."
    # compat: a plain path entry; an import hook would slow down every start of Python in this environment
    "$venv/bin/python" -m pip install --quiet --quiet --progress-bar off --disable-pip-version-check \
        --config-settings editable_mode=compat --editable ".[$extras]" --requirement scripts/torch-requirement.txt ||
        fail "the installation failed: see the message of pip above; run $0 to try again"
    "$venv/bin/python" -m compileall -q actorrt # pip compiles only the packages that it copies
    printf '%s' "$key$root" >"$stamp"
    say "installed in ${SECONDS} s"
}
