# SPDX-License-Identifier: Apache-2.0
"""The report: one page without the network, its tables and plots; in a browser where there is one."""

import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.command_line import invoke
from tritforge.perf.estimates import survey
from tritforge.perf.estimates.published import published
from tritforge.perf.estimates.validation import checks
from tritforge.perf.pages import tables_boards

PLOTS = ("roofline", "cycles", "scaling", "energy", "comparison")
PHONE = 390
"""Pixels."""
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page(HTMLParser):
    """Elements with their attributes, and the rows of each table."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.rows: dict[str, list[list[str]]] = {}
        self._table = self._cell = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "table":
            self._table = self.rows.setdefault(dict(attrs)["id"] or "", [])
        elif tag == "tr":
            self._table.append([])
        elif tag in ("td", "th"):
            self._table[-1].append("")
            self._cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._cell = None

    def handle_data(self, data: str) -> None:
        if self._cell:
            self._table[-1][-1] += data


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the report and its picture."""
    folder = tmp_path_factory.mktemp("report")
    args = ["report", "-o", str(folder / "new" / "report.html"), "--picture", str(folder / "picture.svg")]
    result = invoke(*args)
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(scope="module")
def page(written: Path) -> Page:
    return Page((written / "new" / "report.html").read_text())


def test_nothing_comes_from_elsewhere(page: Page) -> None:
    for tag, attributes in page.elements:
        assert tag not in ("link", "iframe", "img", "base", "object", "embed"), tag
        assert not {"src", "href", "srcset", "data"} & attributes.keys(), (tag, attributes)


def test_every_plot_has_its_place_and_data(page: Page, written: Path) -> None:
    ids = [attributes.get("id") for _, attributes in page.elements]
    text = (written / "new" / "report.html").read_text()
    for name in PLOTS:
        assert ids.count(name) == 1
        assert re.search(rf'Plotly.newPlot\(\s*"{name}",\s*\[{{', text), name
    assert text.count("plotly.js v") >= 1, "the library is inside"


def test_tables_have_every_figure(page: Page) -> None:
    rows = {name: [[cell.strip() for cell in row] for row in rows[1:]] for name, rows in page.rows.items()}
    assert len(rows["estimates"]) == len(survey.choices()) and len(rows["same"]) == len(survey.SAME)
    for row, choice in zip(rows["estimates"], survey.choices(), strict=True):
        assert row[0] == choice.model and row[1].startswith(choice.estimate.platform.name)
        assert f"{choice.estimate.joules.nominal:.3g}" in row[6] and row[-1] == choice.estimate.joules.tag
    assert [row[0].split(",")[0] for row in rows["validation"]] == [check.what.split(",")[0] for check in checks()]
    assert len(rows["published"]) == len(published().systems)
    assert rows["port"] == [list(row) for row in tables_boards.at_port_rows()]


def test_the_picture_is_whole(written: Path) -> None:
    root = ET.parse(written / "picture.svg").getroot()
    width, height = float(root.get("width")), float(root.get("height"))
    labels = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert any("this core" in label for label in labels) and any("TerEffic" in label for label in labels)
    drawn = [element for element in root.iter() if element.tag.endswith("circle")]
    platforms = sum(choice.model == "370M" for choice in survey.choices()) + len(survey.SAME)
    assert len(drawn) == 2 * (platforms + len(published().systems))
    assert all(0 < float(dot.get("cx")) < width and 0 < float(dot.get("cy")) < height for dot in drawn)


def test_a_report_is_a_web_page() -> None:
    result = invoke("report", "-o", "report.pdf")
    assert result.exit_code == 2 and ".html" in result.stderr


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
def test_a_browser_draws_it_and_it_fits_a_phone(written: Path) -> None:
    """All plots are drawn without errors; in a page as wide as a phone only tables that scroll reach beyond it."""
    probe = """<style>html { width: PHONEpx }</style><script>
      window.faults = []; window.onerror = message => window.faults.push(message);
      addEventListener("load", () => setTimeout(() => {
        const scrolls = e => e.matches(".wide *") && getComputedStyle(e.closest(".wide")).overflowX == "auto";
        const wide = [...document.querySelectorAll("body *")].filter(e => !scrolls(e) && !e.closest("svg"));
        const right = Math.max(...wide.map(e => e.getBoundingClientRect().right));
        const drawn = document.querySelectorAll(".plotly-graph-div .main-svg:first-child").length;
        document.title = `right ${Math.round(right)} drawn ${drawn} faults ${window.faults}.`;
      }, 1000));
    </script></head>""".replace("PHONE", str(PHONE))
    text = (written / "new" / "report.html").read_text()
    (written / "probe.html").write_text(text.replace("</head>", probe, 1))
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000"]
    command += [f"--user-data-dir={written / 'profile'}", "--window-size=800,900", "--dump-dom"]
    run = subprocess.run([*command, f"file://{written / 'probe.html'}"], capture_output=True, text=True, timeout=300)
    title = re.search(r"<title>(.*?)</title>", run.stdout[:100_000] + run.stdout[-100_000:])
    assert title, run.stderr[-2000:]
    found = re.fullmatch(r"right (\d+) drawn (\d+) faults (.*)\.", title[1])
    assert found, title[1]
    assert int(found[2]) == len(PLOTS) and found[3] == ""
    assert int(found[1]) <= PHONE
