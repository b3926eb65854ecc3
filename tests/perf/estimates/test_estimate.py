# SPDX-License-Identifier: Apache-2.0
"""Estimates of one core: figures, platforms, area, work, power, and what the command prints."""

import json
import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from tests.command_line import invoke
from tritforge.golden.checkpoints.config import PUBLISHED
from tritforge.hw.params import CoreParams, preset
from tritforge.hw.schedule import Shape, segments, token_beats
from tritforge.hw.trits import CODES
from tritforge.perf.estimates.area import area, check, memories, points, units
from tritforge.perf.estimates.cycles import CycleModel
from tritforge.perf.estimates.estimate import Estimate, Limit, estimate, sized, trits
from tritforge.perf.estimates.platform import FOLDER, Platform, names, platform
from tritforge.perf.estimates.survey import shape
from tritforge.perf.estimates.work import work
from tritforge.perf.figure import Figure, Tag
from tritforge.perf.measured import plan
from tritforge.perf.pages import codes
from tritforge.perf.pages.tables_bench import prefill

ROOT = Path(__file__).parents[3]
SMALL = Shape(256, 2, 704, 1024)


def with_memory(there: Platform, gigabytes: float) -> Platform:
    """A platform whose memory delivers so many GB/s."""
    exact = {"value": gigabytes / there.memory.achieved.value, "low": None, "high": None}
    peak = there.memory.peak.model_copy(update=exact)
    return there.model_copy(update={"memory": there.memory.model_copy(update={"peak": peak})})


def test_a_result_spans_what_its_operands_allow_and_is_no_surer_than_they() -> None:
    a, b = Figure(1, 2, 3, Tag.MEASURED), Figure(4, 5, 10, Tag.ASSUMED)
    assert a + b == Figure(5, 7, 13, Tag.PROJECTED)
    assert a * b == Figure(4, 10, 30, Tag.PROJECTED)
    assert a / b == Figure(0.1, 0.4, 0.75, Tag.PROJECTED)
    assert 6 / a == Figure(2, 3, 6, Tag.DERIVED)
    assert (a + a).tag is Tag.DERIVED
    with pytest.raises(ValueError, match="low <= nominal"):
        Figure(2, 1, 3, Tag.MEASURED)


@pytest.mark.parametrize("name", names())
def test_every_platform_estimates_every_published_model(name: str) -> None:
    there = platform(name)
    for model in PUBLISHED:
        found = estimate(shape(model), sized(preset("edge"), shape(model)), there)
        for figure in (found.rate, found.watts, found.joules, found.picojoules_a_trit):
            assert 0 < figure.low <= figure.nominal <= figure.high
        assert found.watts.nominal == pytest.approx(sum(part.nominal for part in found.power.values()))
        assert found.joules.nominal == pytest.approx(found.watts.nominal / found.rate.nominal)
        assert found.joules.nominal == pytest.approx(found.picojoules_a_trit.nominal * trits(shape(model)) / 1e12)
        clock = there.running(found.params).clock.value
        assert sum(found.phases.values()) == pytest.approx(found.seconds.nominal * clock * 1e6)


def test_the_issues_platforms_are_there() -> None:
    wanted = {"ecp5-85f", "artix-35t", "artix-100t", "kv260", "u280", "d5005", "asic-130nm"}
    assert wanted | {"ulx3s-85f", "ecpix5-85f"} <= set(names())


BAD = {
    "a value is missing": ("static = ", "statik = ", "static"),
    "an entry is unknown": ("[memory]", "colour = 1\n[memory]", "colour"),
    "a tag is unknown": ('tag = "measured"', 'tag = "guessed"', "tag"),
    "a source is missing": (r', source = "[^"]*" }', " }", "source"),
    "bounds are out of order": ("value = 3.8", "value = 3.8, low = 4.0", "low, value and high"),
    "a divisor is zero": ("peak = { value = 19.2", "peak = { value = 0", "greater than 0"),
    "a technology is unknown": ("ultrascale-16nm", "tubes", "technology"),
    "a fraction is text": ("value = 0.83", 'value = "most"', "achieved"),
    "a memory is unknown": (
        r"achieved = \{.*\}",
        'achieved = { memory = "ddr5" }',
        "memory must be one of sdr-100x16,",
    ),
    "it is no TOML": ("[memory]", "[memory", "TOML"),
    "it nests without end": ("[memory]", "deep = " + "[" * 100_000, "TOML"),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_platform_is_one_sentence_and_exit_2(fault: str, tmp_path: Path) -> None:
    pattern, instead, named = BAD[fault]
    good = (FOLDER / "kv260.toml").read_text()
    bad = good.replace(pattern, instead, 1) if pattern in good else re.sub(pattern, instead, good, count=1)
    assert bad != good
    file = tmp_path / "mine.toml"
    file.write_text(bad)
    result = invoke("estimate", "370M", "--platform", str(file))
    assert result.exit_code == 2
    message = " ".join(result.stderr.split())
    assert named in message and "mine.toml" in message.replace(" ", "")
    assert message.startswith("Error: ") and message.endswith(".") and "Traceback" not in message


def test_a_platform_that_is_not_there_is_named() -> None:
    unknown, absent = (
        invoke("estimate", "370M", "--platform", "abacus"),
        invoke("estimate", "370M", "--platform", "no.toml"),
    )
    assert unknown.exit_code == absent.exit_code == 2
    assert "kv260" in unknown.stderr and "cannot be read" in absent.stderr


def test_one_file_adds_a_platform(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text((FOLDER / "kv260.toml").read_text().replace("Kria KV260", "My board"))
    assert json.loads(invoke("estimate", "370M", "--platform", str(file), "--json").stdout)["platform"] == "My board"


def test_the_work_is_what_the_schedule_says() -> None:
    params = CoreParams(lanes=8, batch=3)
    asked = work(params, SMALL, 3)
    runs = list(segments(params, SMALL, 3))
    multiplied = sum(run.beats for run in runs if run.kind not in ("header", "constants", "gains"))
    assert asked.stream == params.lanes * sum(run.beats for run in runs)
    assert asked.array == 3 * multiplied
    assert trits(shape("370M")) == 308_281_344 + 32_768_000


def test_a_slow_memory_takes_what_was_measured_with_one() -> None:
    """The prefill of docs/benchmarks.md: tales on 16 lanes, N contexts, a beat every M cycles.

    Worst where core and memory need about as long (4 contexts, a beat every 4 cycles): 1.2 %.
    """
    measured = list(prefill())
    assert len(measured) == 12
    model = Shape(*plan.BENCH["tales"].entry.data["shape"])
    for contexts, every, wanted in measured:
        params = replace(preset("edge"), batch=contexts)
        there = platform("ecp5-85f").running(params)
        clock = there.clock.value * 1e6
        slow = with_memory(there, params.lanes * clock / every / 1e9)
        found = estimate(model, params, slow, contexts)
        cycles = found.seconds.nominal * clock / contexts
        assert cycles == pytest.approx(wanted, rel=0.015), (contexts, every)


def limit(params: CoreParams, model: Shape, gigabytes: float) -> Limit:
    return estimate(model, params, with_memory(platform("ecp5-85f"), gigabytes)).limit


def test_the_limit_is_what_would_help() -> None:
    params, narrow = preset("edge"), Shape(64, 2, 160, 64)
    wanted = params.lanes * platform("ecp5-85f").running(params).clock.value * 1e-3
    assert limit(params, shape("370M"), 1.1 * wanted) is Limit.ARRAY
    assert limit(params, shape("370M"), 0.9 * wanted) is Limit.MEMORY
    assert limit(replace(params, lanes=256, element_bytes=4), narrow, 1000) is Limit.VECTOR


def test_the_scaling_of_areas_meets_a_core_that_it_was_not_made_from() -> None:
    params, cells = check().params, check().cells
    assert all(params != point.params for point in points())
    assert sum(unit.logic for unit in units(params).values()) == pytest.approx(cells["logic"], rel=0.02)
    assert sum(unit.dsp for unit in units(params).values()) == pytest.approx(cells["dsp"], abs=1)
    assert sum(memory.block_rams for memory in memories(params).values()) == cells["block_ram"]


def test_memories_are_those_of_the_measured_units() -> None:
    """Block RAMs of vector path and store at every measured point; Yosys may mix shapes in one memory."""
    parts = {"vector_path": ("state", "residual", "sigmoid"), "vector_store": ("vectors", "codes")}
    seen = [point for point in points() if point.unit in parts]
    assert len(seen) >= 6
    for point in seen:
        found = memories(point.params)
        blocks = sum(found[name].block_rams for name in parts[point.unit])
        assert blocks == pytest.approx(point.cells["block_ram"], rel=0.06), point


def test_multipliers_become_gates_where_there_are_no_blocks() -> None:
    fabric, gates = (area(preset("edge"), platform(name)) for name in ("ecp5-85f", "asic-130nm"))
    tech = platform("asic-130nm").technology_data
    assert gates.dsp == 0
    expected = fabric.logic * tech.logic_per_lut4.value + fabric.dsp * tech.dsp_as_logic.value
    assert gates.logic == pytest.approx(expected)


def nominal(found: Estimate) -> dict[str, float]:
    return {name: energy.nominal for name, energy in found.energy.items()}


def test_energy_follows_activity() -> None:
    there, params = platform("kv260"), replace(preset("edge"), batch=2)
    fast, slow = (estimate(SMALL, params, with_memory(there, rate)) for rate in (1000, 0.1))
    for part in ("array", "vector path", "control"):
        assert nominal(slow)[part] > nominal(fast)[part], "the clock goes on while the core waits"
    for part in ("on-chip memory", "DRAM interface"):
        assert nominal(slow)[part] == nominal(fast)[part]
    two = estimate(SMALL, params, with_memory(there, 1000), contexts=2)
    assert nominal(two)["DRAM interface"] < 1.1 * nominal(fast)["DRAM interface"], "a pass over the weights is shared"
    assert nominal(two)["array"] > 1.8 * nominal(fast)["array"]
    bits = 8 * fast.work.stream
    assert nominal(fast)["DRAM interface"] == pytest.approx(bits * there.memory.energy.value * 1e-12)


def test_a_code_is_as_fast_as_its_bytes_or_its_array() -> None:
    model, there = shape("370M"), platform("ecp5-85f")
    found = {row.array.code: row for row in codes.rows(model, there, (0.1, 1000))}
    assert set(found) == set(CODES)
    for code, row in found.items():
        params = sized(replace(preset("edge"), code=code), model)
        stream, cycles = params.lanes * token_beats(params, model), CycleModel(params).packet(model).total
        slow, fast = (one.rate.nominal for one in row.estimates)
        assert slow == pytest.approx(0.1e9 / stream)
        assert fast == pytest.approx(1e6 * min(there.running(params).clock.value, row.array.mhz) / cycles)
    assert found["two_bit"].estimates[0].work.stream > 1.2 * found["nested"].estimates[0].work.stream


def test_the_command_says_everything_in_a_table_and_in_json() -> None:
    args = ("estimate", "1.3B", "--preset", "wide", "--platform", "kv260", "--set", "lanes=32")
    table = invoke(*args)
    assert table.exit_code == 0
    for word in ("tokens/s", "limited by", "static (board)", "DRAM interface", "pJ/trit", "block RAM", "projected"):
        assert word in table.stdout
    said = json.loads(invoke(*args, "--json").stdout)
    found = estimate(shape("1.3B"), replace(preset("wide"), lanes=32), platform("kv260"))
    assert said["lanes"] == 32 and said["limit"] == found.limit
    for field, figure in (
        ("tokens_per_second", found.rate),
        ("watts", found.watts),
        ("joules_per_token", found.joules),
    ):
        assert said[field] == {
            "low": figure.low,
            "nominal": figure.nominal,
            "high": figure.high,
            "tag": figure.tag,
        }


def test_a_checkpoint_folder_is_a_model_too() -> None:
    said = json.loads(invoke("estimate", str(ROOT / "models/tales"), "--json").stdout)
    assert said["tokens_per_second"]["nominal"] > 100


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (("370M", "--contexts", "2"), "batch"),
        (("370M", "--set", "max_hidden=512"), "hidden 1024"),
        (("470M",), "470M does not exist"),
        (("370M", "--set", "lanes=5"), "lanes"),
    ],
)
def test_a_core_that_does_not_take_the_model_is_refused(args: tuple[str, ...], named: str) -> None:
    result = invoke("estimate", *args)
    assert result.exit_code == 2 and named in " ".join(result.stderr.split())


def test_data_files_say_where_each_value_comes_from() -> None:
    """No value of a data file is without tag and source, whatever reads it."""

    def values(tree: object) -> list[dict]:
        if isinstance(tree, list):
            return [value for item in tree for value in values(item)]
        if not isinstance(tree, dict):
            return []
        return [tree] if "value" in tree else [value for item in tree.values() for value in values(item)]

    files = [
        *FOLDER.glob("*.toml"),
        ROOT / "perf/estimates/technologies.toml",
        ROOT / "perf/estimates/published.toml",
    ]
    for file in files:
        found = values(tomllib.loads(file.read_text()))
        assert found and all(value["source"] and value["tag"] in list(Tag) for value in found), file
