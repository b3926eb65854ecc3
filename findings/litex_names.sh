#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# litex 2024.12 and migen 0.10.0 on CPython 3.11.7, 3.12.1 and 3.13.0, seen November 2026.
#
# A good guess: the Verilog of a LiteX design is decided by its sources and the versions of LiteX and migen, but for a
# date in the banner. Seen: names are read from the caller's bytecode, as Amaranth's are. From 3.12 on signals of a list
# comprehension have none, as it is no function of its own any more, and from 3.13 on the last of several that are
# assigned at once has none either. So the steerer of a LiteDRAM controller and migen's synchronisers have other names by
# 3.11 than by 3.13. Beside the date the banner has a commit ("LiteX sha1"), which is that of whatever repository the
# folder of the installed package lies in: of the user's project, where the virtual environment is in its checkout.
#
# Fails if this changes. Needs git and python3 (at least 3.11) with venv; run it with another one by PYTHON=python3.13.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
git init -q . && git -c user.name=x -c user.email=x@x commit -q --allow-empty -m "A project"
"${PYTHON:-python3}" -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check litex==2024.12 migen==0.10.0 2>/dev/null
cat > names.py <<'PY'
import re
import sys

from litex.gen.fhdl import verilog
from migen import Module, Signal


class Top(Module):
    def __init__(self):
        self.i, self.o = Signal(name="i"), Signal(name="o")
        alone = Signal()
        listed = [Signal() for _ in range(2)]
        first, second = Signal(), Signal()
        chain = [self.i, alone, *listed, first, second, self.o]
        self.comb += [after.eq(before) for before, after in zip(chain, chain[1:])]


top = Top()
text = str(verilog.convert(top, {top.i, top.o}))
names = re.findall(r"^wire +(\w+);", text, re.M)
print("Python", ".".join(map(str, sys.version_info[:3])), names)
by_version = {
    (3, 11): ["top", "top_alone", "top_listed0", "top_listed1", "top_second"],
    (3, 12): ["top0", "top1", "top2", "top_alone", "top_second"],
    (3, 13): ["top0", "top1", "top2", "top3", "top_alone"],
}
assert names == by_version[min(sys.version_info[:2], (3, 13))], names
commit = re.search(r"LiteX sha1 : (\w+)", text)[1]
print("LiteX sha1", commit)
assert sys.argv[1].startswith(commit)
PY
venv/bin/python names.py "$(git rev-parse HEAD)"
echo "as described"
