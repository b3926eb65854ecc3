# SPDX-License-Identifier: Apache-2.0
"""Tokens on many cores without a checkpoint, and the command that shows them."""

import json
from pathlib import Path

import pytest

from tests.command_line import invoke
from tests.cores import packed
from tritforge.golden.checkpoints.reader import ModelConfig
from tritforge.host.image.stream import TokenStream
from tritforge.host.measure.scaling import CAUSES, alone, together
from tritforge.hw.link.message import with_link
from tritforge.hw.packet import Context
from tritforge.hw.params import preset

TINY = preset("tiny")
MODEL = ModelConfig(hidden=64, layers=1, intermediate=160, vocab=256)


@pytest.mark.parametrize("cores", [1, 3])
def test_no_cycle_depends_on_a_weight(cores: int, tmp_path: Path) -> None:
    params = with_link(TINY) if cores > 1 else TINY
    image = packed(params, tmp_path, MODEL, cores=cores)
    stream, contexts = TokenStream(image), [Context(7, zero=True)]
    if cores == 1:
        blank, real = alone(params, image.shape), alone(params, image.shape, stream.packet(contexts))
    else:
        blank = together(params, image.shape, cores)
        real = together(params, image.shape, cores, packets=stream.packets(contexts))
    assert blank.counted == real.counted


def test_the_command_counts_every_cycle() -> None:
    result = invoke(
        "scaling", "64,1,160,256", "--preset", "tiny", "--cores", "1,2", "--link-latency", "0,10", "--json"
    )
    assert result.exit_code == 0
    one, two, longer = json.loads(result.stdout)
    for point in (one, two, longer):
        assert sum(point[cause] for cause in CAUSES) == point["cycles"]
    assert (one["error"], one["efficiency"], one["exchange"]) == (0, 1, 0)
    assert two["efficiency"] == pytest.approx(one["cycles"] / 2 / two["cycles"])
    assert longer["exchange"] > two["exchange"]


def test_one_memory_is_the_limit_where_it_is_slower_than_the_cores() -> None:
    """Of half a beat a cycle for all."""
    half = ("--shared-memory", str(TINY.lanes / 2))
    result = invoke("scaling", "64,2,160,512", "--preset", "tiny", "--cores", "2,4", *half, "--json")
    assert result.exit_code == 0
    for point in json.loads(result.stdout):
        assert point["used"] > 0.98 and abs(point["error"]) < 0.02 and point["starved"] > 0.3 * point["cycles"]


@pytest.mark.parametrize(
    ("option", "text"),
    [
        *(("--cores", "0"), ("--cores", "1..4"), ("--cores", "17"), ("--link-latency", "-1")),
        *(("--shared-memory", "0"), ("--shared-memory", "nan"), ("--shared-memory", "inf")),
    ],
)
def test_bad_numbers_are_refused(option: str, text: str) -> None:
    result = invoke("scaling", "64,1,160,256", option, text)
    assert result.exit_code == 2 and option in result.stderr


def test_more_cores_than_rows_are_refused() -> None:
    result = invoke("scaling", "8,1,160,256", "--preset", "tiny", "--cores", "16")
    assert result.exit_code == 2 and "cannot share hidden 8" in result.stderr
