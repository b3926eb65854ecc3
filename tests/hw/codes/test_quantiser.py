# SPDX-License-Identifier: Apache-2.0
"""The quantiser."""

from pathlib import Path

import pytest

from tests.unit_bench import bench
from tritforge.golden.model.formats import Formats
from tritforge.hw.codes.quantiser import Quantiser
from tritforge.hw.params import CoreParams

FORMATS = ({}, {"wide_bits": 24, "frac": 12, "mantissa": 12})


@pytest.mark.parametrize(("element_bytes", "act_bits"), [(1, 8), (2, 12)])
@pytest.mark.parametrize("formats", FORMATS)
def test_quantiser(element_bytes: int, act_bits: int, formats: dict[str, int], tmp_path: Path) -> None:
    """Codes equal the model's bit for bit, and the Verilog is exact in its widths."""
    params = CoreParams(lanes=16, element_bytes=element_bytes, act_bits=act_bits, formats=Formats(**formats))
    parameters = {"element_bytes": element_bytes, "act_bits": act_bits, "formats": formats}
    bench(Quantiser(params), "quantiser", parameters, tmp_path)
