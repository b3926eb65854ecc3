# SPDX-License-Identifier: Apache-2.0
"""The register file behaves as its table says, and the table, its page and its header agree."""

import re
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.unit_bench import bench
from tritforge.golden.model.formats import Formats
from tritforge.hw.control.registers import Registers
from tritforge.hw.params import CoreParams
from tritforge.hw.register_map import REGISTERS, Register, c_header, markdown, register

CORES = {
    "wide": CoreParams(lanes=4, max_hidden=16, max_intermediate=40, max_layers=3, max_vocab=100),
    "narrow": CoreParams(
        lanes=16,
        act_bits=10,
        vector_rows=4,
        batch=3,
        max_hidden=32,
        max_layers=2,
        formats=Formats(wide_bits=24, frac=13, mantissa=14),
    ),
    "linked": CoreParams(lanes=8, vector_rows=2, batch=8, link_bytes=2, max_hidden=8, max_layers=1),
}


@pytest.mark.parametrize("name", CORES)
def test_registers_behave(name: str, tmp_path: Path) -> None:
    parameters = {"core": asdict(CORES[name])}
    assert len(bench(Registers(CORES[name]), "registers", parameters, tmp_path)) == 12


def test_registers_and_fields_do_not_overlap() -> None:
    assert len({entry.offset for entry in REGISTERS}) == len({entry.name for entry in REGISTERS}) == len(REGISTERS)
    for entry in REGISTERS:
        assert entry.offset % 4 == 0 and entry.offset < 4096
        bits = [bit for field in entry.fields for bit in range(field.low, field.low + field.width)]
        assert len(bits) == len(set(bits)) and all(bit < 32 for bit in bits)


@pytest.mark.parametrize("entry", REGISTERS, ids=lambda entry: entry.name)
def test_page_describes_every_register(entry: Register) -> None:
    page = markdown()
    assert f"| `0x{entry.offset:03X}` | [{entry.name}](#{entry.name.lower()}) | {entry.access} |" in page
    assert f"\n## {entry.name}\n" in page


def test_c_header_compiles_and_gives_the_offsets(tmp_path: Path) -> None:
    (tmp_path / "registers.h").write_text(c_header())
    names = [f"TRITFORGE_{entry.name}" for entry in REGISTERS]
    program = '#include "registers.h"\n#include <stdio.h>\nint main(void) {\n'
    program += "".join(f'  printf("%u\\n", {name});\n' for name in names)
    (tmp_path / "main.c").write_text(program + '  printf("%u\\n", TRITFORGE_STATUS_TORN_MASK);\n}\n')
    subprocess.run(["gcc", "-Wall", "-Werror", "-o", tmp_path / "main", tmp_path / "main.c"], check=True)
    printed = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True).stdout.split()
    assert [int(value) for value in printed] == [
        *(entry.offset for entry in REGISTERS),
        register("STATUS").field("TORN").mask,
    ]
    assert not re.search(r"#define (\w+) .*\n(?s:.*)#define \1 ", c_header())
