#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# litedram 2024.12, seen November 2026.
#
# A good guess: the timing tables of a DDR3 chip give what its data sheet gives, so that a controller at any clock waits
# as long as the chip needs. Seen: tRFC of DDR3 chips stands in clocks of the fastest grade and is taken as clocks of the
# DRAM, whatever its clock: MT41K256M16 has 208, which are the data sheet's 260 ns at 800 MHz and 1,387 ns at 150 MHz. A
# slow controller spends 18 % of its time on refreshes instead of 3.4 %: a long read behind the 1:2 PHY at 75 MHz got
# 0.791 of the peak, and 0.930 with tRFC=(None, 260) in a subclass. DDR4 chips have it in ns.
#
# Fails if this changes. Needs python3 (at least 3.11) with venv.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
"${PYTHON:-python3}" -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check litedram==2024.12 litex==2024.12 migen==0.10.0 2>/dev/null
cat > trfc.py <<'PY'
from litedram.modules import MT40A512M16, MT41K256M16

CLOCK, NEEDED_NS = 75e6, 260
chip = MT41K256M16(CLOCK, "1:2")
cycles, period = chip.timing_settings.tRFC, chip.timing_settings.tREFI
print(f"tRFC {cycles} cycles, {cycles / CLOCK * 1e9:.0f} ns, {cycles / period:.1%} of the time; needed {NEEDED_NS} ns")
assert (cycles, period) == (104, 586) and cycles / CLOCK * 1e9 > 5 * NEEDED_NS
clocks, ns = chip.speedgrade_timings["default"].tRFC
assert (clocks, ns) == (208, None) and clocks / 800e6 * 1e9 == NEEDED_NS
assert all(clocks is None for clocks, _ in MT40A512M16.speedgrade_timings["default"].tRFC.values())


class Corrected(MT41K256M16):
    speedgrade_timings = {"default": MT41K256M16.speedgrade_timings["800"]}


Corrected.speedgrade_timings["default"].tRFC = (None, NEEDED_NS)
assert Corrected(CLOCK, "1:2").timing_settings.tRFC == 20
PY
venv/bin/python trfc.py
echo "as described"
