#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Amaranth 0.5.10 on CPython 3.11.7 and 3.13.0, seen November 2026.
#
# A good guess: `a, b = Signal(), Signal()` names the signals a and b, as `a = Signal()` names one; or, if a tuple is too
# much for Amaranth, it names none of them; and the Verilog of a design does not depend on the interpreter. Seen: names
# are read from the bytecode of the caller. Up to 3.12 the last of the two has its name (`b`), the other is `$signal`;
# from 3.13, where two stores are one instruction, both are `$signal`. The same holds for memory ports
# (`$signature__addr`). Equal sources give unequal Verilog, so digests of it, cached builds and constraints by name miss.
# One assignment a signal, or `name=`, is the remedy.
#
# Fails if this changes. Needs python3 (at least 3.11) with venv; run it with another one by PYTHON=python3.13.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
"${PYTHON:-python3}" -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check amaranth==0.5.10 2>/dev/null
cat > names.py <<'PY'
import sys

from amaranth.hdl import Signal
from amaranth.lib.memory import Memory


def names():
    alone = Signal()
    first, second = Signal(), Signal()
    memory = Memory(shape=8, depth=4, init=[])
    read, write = memory.read_port(), memory.write_port()
    return [s.name for s in (alone, first, second, read.addr, write.addr)]


seen = names()
print("Python", ".".join(map(str, sys.version_info[:3])), seen)
last, port = ("second", "write") if sys.version_info < (3, 13) else ("$signal", "$signature")
assert seen == ["alone", "$signal", last, "$signature__addr", f"{port}__addr"], seen
PY
venv/bin/python names.py
echo "as described"
