# SPDX-License-Identifier: Apache-2.0
"""Documents are what the data say, and what is not is named: each fault is planted once."""

import json
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import Process
from pathlib import Path

import pytest

from tests.command_line import invoke
from tests.cores import CORES
from tritforge.host.docs.documents import Documents, Fault, Place
from tritforge.hw.params import CoreParams, preset
from tritforge.hw.register_map import constants
from tritforge.perf.measured import entries as measured
from tritforge.perf.measured import today
from tritforge.perf.measured.entries import Entry, made, put
from tritforge.perf.measured.plan import Measurement
from tritforge.perf.measured.subject import core_of, named, options, verilog_digest
from tritforge.perf.measured.today import Today

WANTED = Measurement("speeds", "edge", "tritforge measure edge --record")
LONG = replace(WANTED, name="wide", command="tritforge measure wide --record", long=True)
DIGESTS = {"verilog edge": "1111", "verilog wide": "2222"}


def test_the_documents_are_what_the_data_say() -> None:
    """If this fails: tritforge docs --write, after what it names was measured."""
    result = invoke("docs", "--check")
    assert result.exit_code == 0, result.output


def test_programs_are_told_of_faults_and_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    fault = Fault("docs/page.md: table", "is not what the data say")
    monkeypatch.setattr(Documents, "check", lambda self: iter([fault]))
    result = invoke("docs", "--check", "--json")
    assert result.exit_code == 1 and json.loads(result.stdout) == [{"where": fault.where, "why": fault.why}]
    assert result.stderr.startswith("Error: One place is not what the data say;")
    result = invoke("docs", "--commands", "--all", "--json")
    assert result.exit_code == 0 and "tritforge demo --record" in json.loads(result.stdout)
    result = invoke("docs")
    assert result.exit_code == 2 and "Say one of --write, --check and --commands." in result.stderr


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of two pages and a picture, whose figures were measured on today's cores."""
    monkeypatch.setattr(measured, "FOLDER", tmp_path / "measured")
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("It runs at <!-- speed --><!-- end --> MHz.\n")
    (tmp_path / "docs/page.md").write_text(
        "# Speeds\n\n<!-- table -->\n<!-- end -->\n\nAnd <!-- speed --><!-- end -->.\n"
    )
    for one, mhz in ((WANTED, 100), (LONG, 50)):
        on = {f"verilog {one.name}": DIGESTS[f"verilog {one.name}"]}
        put(one.file, {one.name: Entry(command=one.command, date="2026-01-02", tools={}, on=on, data={"mhz": mhz})})
    return tmp_path


def documents(root: Path, digests: dict[str, str] = DIGESTS, **more: Place) -> Documents:
    def speed(one: Measurement) -> Callable[[], str]:
        return lambda: str(one.entry.data["mhz"])

    def table() -> str:
        return f"| {WANTED.entry.data['mhz']} | {LONG.entry.data['mhz']} |\n"

    places = {"speed": Place(speed(WANTED), (WANTED,)), "table": Place(table, (WANTED, LONG)), **more}
    return Documents(root, places, {"docs/picture.svg": Place(speed(LONG), (LONG,))}, now(digests))


def now(digests: dict[str, str]) -> Today:
    found = Today([])
    found._verilog = digests
    return found


def faults(found: Documents) -> list[str]:
    return list(map(str, found.check()))


def test_what_is_written_is_what_is_wanted(checkout: Path) -> None:
    found = documents(checkout)
    assert len(faults(found)) == 4
    assert list(found.write()) == [] == faults(found)
    assert (checkout / "README.md").read_text() == "It runs at <!-- speed -->100<!-- end --> MHz.\n"
    page = (checkout / "docs/page.md").read_text()
    assert "| 100 | 50 |\n\n*Measured* 2026-01-02: `tritforge measure edge --record` and `tritforge measure" in page
    assert (checkout / "docs/picture.svg").read_text() == "50"
    assert not list(checkout.rglob("*.tmp"))


@pytest.mark.parametrize("file", ["README.md", "docs/page.md", "docs/picture.svg"])
def test_an_interruption_leaves_every_file_as_it_was_or_as_it_should_be(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    """It comes when half of one file is written, wherever the system writes it."""
    (checkout / "docs/picture.svg").write_text("before")
    files = [checkout / name for name in ("README.md", "docs/page.md", "docs/picture.svg")]
    before, real = [path.read_text() for path in files], Path.write_text

    def write_text(path: Path, text: str, **options: str) -> int:
        if Path(file).stem in path.name:
            real(path, text[: len(text) // 2], **options)
            raise KeyboardInterrupt
        return real(path, text, **options)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "write_text", write_text)
        list(documents(checkout).write())
    after = [path.read_text() for path in files]
    assert {path for path in checkout.rglob("*") if path.is_file() and path.suffix != ".json"} == set(files)
    list(documents(checkout).write())
    wanted, broken = [path.read_text() for path in files], files.index(checkout / file)
    assert after == wanted[:broken] + before[broken:]


@pytest.mark.parametrize(
    ("file", "old", "new", "named_place"),
    [
        ("README.md", ">100<", ">101<", "README.md: speed"),
        ("docs/page.md", "| 50 |", "| 51 |", "docs/page.md: table"),
        ("docs/page.md", "2026-01-02", "2026-01-03", "docs/page.md: table"),
        ("docs/picture.svg", "50", "51", "docs/picture.svg"),
    ],
)
def test_a_changed_figure_is_named_with_what_it_should_be(
    checkout: Path, file: str, old: str, new: str, named_place: str
) -> None:
    found = documents(checkout)
    list(found.write())
    path = checkout / file
    path.write_text(path.read_text().replace(old, new, 1))
    (fault,) = faults(found)
    assert fault.startswith(f"{named_place}: is not what the data say:\n  -") and "\n  +" in fault


def test_figures_of_another_core_are_named_with_the_command(checkout: Path) -> None:
    list(documents(checkout).write())
    changed = documents(checkout, DIGESTS | {"verilog edge": "3333"})
    found = faults(changed)
    remedy = "measured on another core (verilog edge): run tritforge measure edge --record."
    assert f"README.md: speed: {remedy}" in found and f"docs/page.md: table: {remedy}" in found
    list(changed.write())
    assert any(remedy in fault for fault in faults(changed)), "writing does not make them today's"


def test_what_takes_long_may_be_older_if_the_page_says_so(checkout: Path) -> None:
    list(documents(checkout).write())
    changed = documents(checkout, DIGESTS | {"verilog wide": "3333"})
    found = faults(changed)
    assert all("is not what the data say" in fault for fault in found) and len(found) == 1
    assert list(changed.write()) == [] == faults(changed)
    page = (checkout / "docs/page.md").read_text()
    said = "**Of an earlier core**, measured 2026-01-02: wide; today's by `tritforge measure wide --record`."
    assert said in page and "*Measured* 2026-01-02: `tritforge measure edge --record`." in page
    assert any("is not what" in fault for fault in faults(documents(checkout))), "and no longer when it is today's"


def test_what_was_not_measured_is_named(checkout: Path) -> None:
    other = replace(WANTED, name="tiny", command="tritforge measure tiny --record")
    page = checkout / "docs/page.md"
    page.write_text(page.read_text() + "\n<!-- new -->\nas it was\n<!-- end -->\n")
    found = documents(checkout, new=Place(lambda: "", (other,)))
    (fault,) = map(str, found.write())
    assert fault == "docs/page.md: new: was not measured (tiny): run tritforge measure tiny --record."
    assert "as it was" in page.read_text()


def test_places_that_nobody_knows_or_shows_are_named(checkout: Path) -> None:
    list(documents(checkout).write())
    (checkout / "docs/other.md").write_text("<!-- height -->\n<!-- end -->\n\n<!-- speed -->100<!-- end --> MHz\n")
    found = faults(documents(checkout, unseen=Place(str)))
    assert "docs/other.md: height: nothing is known of this place; host/docs/places.py lists them." in found
    assert "docs/other.md: speed: a figure must not begin a line, which would be HTML then." in found
    assert "unseen: no document has this place." in found


@pytest.mark.parametrize("name", CORES)
def test_a_core_has_a_name_that_makes_it_again(name: str) -> None:
    assert core_of(named(CORES[name])) == CORES[name]


def test_the_name_of_a_core_begins_with_the_nearest_preset() -> None:
    assert named(preset("wide")) == "wide" and named(CoreParams(lanes=32, batch=2)) == "edge lanes=32 batch=2"
    assert options("edge lanes=32 batch=2") == "--preset edge --set lanes=32 --set batch=2"


def test_a_digest_is_of_a_module_and_what_it_uses(tmp_path: Path) -> None:
    texts = {
        "top": "module top(a);\n  top_unit unit (\n    .a(a)\n  );\n  top_other other_1 (\n  );\nendmodule\n",
        "top_unit": "module top_unit(a);\n  top_leaf \\leaf[0] (\n    .a(a)\n  );\nendmodule\n",
        "top_leaf": "module top_leaf(a);\nendmodule\n",
        "top_other": "module top_other();\nendmodule\n",
    }

    def digests() -> dict[str, str]:
        files = [tmp_path / f"{name}.v" for name in texts]
        for file in files:
            file.write_text(texts[file.stem])
        return {name: verilog_digest(files, name) for name in texts}

    before = digests()
    texts["top_leaf"] += "// changed\n"
    after = digests()
    assert [name for name in texts if before[name] != after[name]] == ["top", "top_unit", "top_leaf"]


def test_nothing_is_emitted_while_the_sources_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(today, "FILE", tmp_path / "verilog.json")
    emitted: list[list[str]] = []
    monkeypatch.setattr(
        today, "_emitted", lambda missing, status: emitted.append(missing) or dict.fromkeys(missing, "a")
    )
    first = Today(["verilog tiny", "verilog tiny: front", "specification"])
    first.save()
    assert Today(["verilog tiny"]).digest("verilog tiny") == "a"
    assert emitted == [["verilog tiny", "verilog tiny: front"], []]
    monkeypatch.setattr(today, "sources", lambda: "others")
    Today(["verilog tiny"])
    assert emitted[-1] == ["verilog tiny"]


@pytest.mark.parametrize("name", ["tiny", "edge"])
def test_the_kept_digests_are_those_of_the_verilog(name: str) -> None:
    """If this fails: tritforge docs --write."""
    kept = json.loads(today.FILE.read_text()) if today.FILE.exists() else {}
    wanted = [subject for subject in kept.get("digests", {}) if subject.startswith(f"verilog {name}:")]
    wanted += [subject for subject in kept.get("digests", {}) if subject == f"verilog {name}"]
    if kept.get("sources") != today.sources() or not wanted:
        pytest.skip("the gateware's sources are others, so every digest is made anew")
    assert today._digests(name, wanted) == {subject: kept["digests"][subject] for subject in wanted}


def test_a_change_of_the_gateware_is_another_digest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from tritforge.hw.control import registers as csr

    monkeypatch.setenv("TRITFORGE_CACHE", str(tmp_path))
    before = today._digests("tiny", ["verilog tiny", "verilog tiny: ternary_array"])
    monkeypatch.setenv("TRITFORGE_CACHE", str(tmp_path / "other"))
    monkeypatch.setattr(csr, "constants", lambda params: constants(params) | {"LIMIT_BATCH": 7})
    after = today._digests("tiny", ["verilog tiny", "verilog tiny: ternary_array"])
    assert before["verilog tiny"] != after["verilog tiny"]
    assert before["verilog tiny: ternary_array"] == after["verilog tiny: ternary_array"]


def _put(name: str) -> None:
    put("together", {name: made("a command", {"value": 1}, {})})


def test_processes_that_record_at_once_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "FOLDER", tmp_path)
    names = [f"seed {number}" for number in range(12)]
    processes = [Process(target=_put, args=(name,)) for name in names]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert list(measured.entries("together")) == names
    assert [path.name for path in tmp_path.iterdir()] == ["together.json"]
    assert json.loads((tmp_path / "together.json").read_text())["seed 3"]["data"] == {"value": 1}


def test_seeds_of_an_earlier_core_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "FOLDER", tmp_path)

    def record(core: str, seed: int, digest: str) -> None:
        found = {f"{core} seed {seed}": made("a command", {}, {f"verilog {core}": digest})}
        put("clocks", found, f"{core} seed ")

    for core, seed, digest in (("edge", 1, "a"), ("edge", 2, "a"), ("edge lanes=32", 1, "a"), ("edge", 3, "b")):
        record(core, seed, digest)
    assert set(measured.entries("clocks")) == {"edge seed 3", "edge lanes=32 seed 1"}
