# SPDX-License-Identifier: Apache-2.0
"""Many cores: shares, exchange, limits, and what the command prints."""

import json
from dataclasses import replace

import pytest

from tests.command_line import invoke
from tritforge.hw.params import CoreParams, preset
from tritforge.hw.schedule import Shape
from tritforge.perf.estimates.cycles import CycleModel
from tritforge.perf.estimates.estimate import Limit, estimate
from tritforge.perf.estimates.platform import platform
from tritforge.perf.estimates.project import limits, project
from tritforge.perf.estimates.survey import shape
from tritforge.perf.estimates.work import work

CORE = CoreParams(lanes=16, max_hidden=256, max_intermediate=768)
MODEL = Shape(hidden=256, layers=2, intermediate=768, vocab=1024)


def test_one_core_is_the_core_by_itself() -> None:
    alone = work(CORE, MODEL)
    assert alone.exchange == 0
    assert alone.cycles == CycleModel(CORE).packet(MODEL)


def test_whole_shares_divide_the_products_and_not_the_waits() -> None:
    """256, 768 and 1024 rows are 8 shares of whole row blocks (8 rows)."""
    alone, eighth = work(CORE, MODEL), work(CORE, MODEL, cores=8)
    assert eighth.array * 8 == alone.array
    assert eighth.vector * 8 == alone.vector
    waits = eighth.cycles.waits / alone.cycles.waits
    assert 0.3 < waits <= 1, "each dependency still has its latencies"


def test_more_cores_wait_longer_for_one_another() -> None:
    waits = [work(CORE, MODEL, cores=cores).exchange for cores in (1, 2, 4, 8)]
    assert waits[0] == 0 and waits == sorted(set(waits))
    products = 4 * MODEL.layers + 2
    longer = work(CORE, MODEL, cores=2, latency=500).exchange - work(CORE, MODEL, cores=2, latency=400).exchange
    assert longer == 100 * products, "each dependency and the end wait for one link"


def test_a_shared_memory_is_a_ceiling() -> None:
    found = project(shape("370M"), preset("edge"), platform("kv260"), range(1, 17))
    rates = [one.rate.nominal for one in found]
    bandwidth = platform("kv260").memory.bandwidth.nominal
    assert rates[1] == pytest.approx(2 * rates[0], rel=0.02)
    assert all(one.limit is Limit.ARRAY for one in found[:4])
    assert found[-1].limit is Limit.MEMORY
    assert rates[-1] == pytest.approx(bandwidth / (16 * found[-1].work.stream))
    assert 4 * 16 * 200e6 < bandwidth < 5 * 16 * 200e6, "what four and five cores without waits would ask for"
    assert limits(found)["memory"] in (5, 6), "shares of a fifth do not fill row blocks, so five cores ask for less"


def test_efficiency_is_against_as_many_first_cores() -> None:
    one, four = project(shape("370M"), preset("edge"), platform("kv260"), [1, 4])
    assert one.efficiency(one) == 1
    assert four.efficiency(one) == pytest.approx(four.rate.nominal / (4 * one.rate.nominal))


def test_each_limit_is_named_where_it_sets_in() -> None:
    """Cores of 256 lanes have 128 rows a block: 1,024 rows fill them for 8 cores, not for 16."""
    params = replace(preset("wide"), lanes=256, element_bytes=2)
    found = project(shape("370M"), params, platform("u280"), range(1, 65))
    where = limits(found)
    first = where["row blocks"]
    assert found[first - 1].useful < 0.9 * found[0].useful <= found[first - 2].useful
    even = limits([one for one in found if one.cores in (1, 2, 4, 8, 16)])
    assert even["row blocks"] == 16
    area = where["area"]
    assert found[area - 2].fits and not found[area - 1].fits
    first = where["exchange"]
    assert found[first - 1].work.exchange > 0.1 * found[first - 1].work.total
    assert found[first - 2].work.exchange <= 0.1 * found[first - 2].work.total


def test_more_cores_draw_more_and_static_power_is_shared() -> None:
    one, eight = project(shape("1.3B"), preset("wide"), platform("u280"), [1, 8])
    assert eight.watts.nominal > one.watts.nominal
    assert eight.power["static"] == one.power["static"]
    assert eight.joules.nominal < one.joules.nominal
    same = (eight.energy["DRAM interface"].nominal, one.energy["DRAM interface"].nominal)
    assert same[0] == pytest.approx(same[1], rel=0.01), "the same weights, and a header and constants more a core"


def test_a_projection_is_made_of_estimates() -> None:
    (three,) = project(shape("370M"), preset("edge"), platform("kv260"), [3])
    assert three == estimate(shape("370M"), preset("edge"), platform("kv260"), cores=3)


def test_the_command_prints_and_says_where_limits_set_in() -> None:
    args = ("project", "370M", "--preset", "edge", "--platform", "kv260", "--cores", "1..8")
    table = invoke(*args)
    assert table.exit_code == 0
    assert "memory: from 6 cores" in table.stdout and "area: not within this range" in table.stdout
    said = json.loads(invoke(*args, "--json").stdout)
    assert [one["cores"] for one in said["cores"]] == list(range(1, 9))
    assert said["limits"] == {"memory": 6, "exchange": None, "row blocks": None, "area": None}


@pytest.mark.parametrize("cores", ["0", "8..4", "1-8", "1..5000", "many"])
def test_a_bad_range_is_refused(cores: str) -> None:
    result = invoke("project", "370M", "--cores", cores)
    assert result.exit_code == 2 and "--cores" in result.stderr
