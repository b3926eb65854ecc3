#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# CPython 3.11 to 3.13 and rich 14.2.0, seen December 2026.
#
# A good guess: a program that catches KeyboardInterrupt and calls sys.exit(130), or goes on and ends well, has that exit
# status. Seen: if the interruption came while a *string* was being executed, such as in the methods that dataclasses
# make when a package like rich is imported, and the program was begun with `python -m`, Python kills itself with
# SIGINT at its end, whatever was caught and said: to a parent that is -2 and no 130, and a program that recovered and
# ended well counts as interrupted. Begun as a script, sys.exit() gives its status, but reaching the end does not. So of
# interruptions while packages are imported, one in ten or so ends in another way than the rest.
#
# Fails if this changes. Needs python3 with venv.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check rich==14.2.0 2>/dev/null
cat > recovers.py <<'PY'
import builtins
import signal
import sys

WHERE, THEN = sys.argv[1:]
inside = builtins.exec


def interrupted(source, *where):
    """Of the first class of which methods are made of text: there comes the interruption."""
    if not isinstance(source, str):
        return inside(source, *where)
    builtins.exec = inside
    inside("import signal; signal.raise_signal(signal.SIGINT)\n" + source, *where)


try:
    if WHERE == "in a string":
        builtins.exec = interrupted
        import rich.console
    else:
        signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    builtins.exec = inside
    if THEN == "exits":
        sys.exit(130)
PY
cat > look.py <<'PY'
import subprocess
import sys

seen = {}
for where in ("in a string", "elsewhere"):
    for then in ("exits", "goes on"):
        for begun in (["-m", "recovers"], ["recovers.py"]):
            name = f"{where}, {then}, {begun[0]}"
            seen[name] = subprocess.run([sys.executable, *begun, where, then]).returncode
            print(f"{name}: {seen[name]}")
assert seen == {
    "in a string, exits, -m": -2,
    "in a string, exits, recovers.py": 130,
    "in a string, goes on, -m": -2,
    "in a string, goes on, recovers.py": -2,
    "elsewhere, exits, -m": 130,
    "elsewhere, exits, recovers.py": 130,
    "elsewhere, goes on, -m": 0,
    "elsewhere, goes on, recovers.py": 0,
}
PY
venv/bin/python --version
venv/bin/python look.py
