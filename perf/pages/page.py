# SPDX-License-Identifier: Apache-2.0
"""The report: one self-contained page of tables and interactive plots."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from tritforge.perf.estimates import survey
from tritforge.perf.estimates.published import published
from tritforge.perf.estimates.validation import checks
from tritforge.perf.figure import Figure, number
from tritforge.perf.pages import plots, tables_boards

CONFIG = {"responsive": True, "displaylogo": False, "displayModeBar": False}


def page() -> str:
    """The whole page as HTML, plotly.js inside."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "spread": spread}
    return environment.get_template("page.html").render(
        plotly=get_plotlyjs(),
        choices=survey.choices(),
        missing=survey.missing(),
        same=survey.same_platforms(),
        checks=list(checks()),
        port_head=tables_boards.AT_PORT_HEAD,
        port_rows=list(tables_boards.at_port_rows()),
        systems=published().systems,
        many=(survey.MANY_MODEL, survey.MANY_CORE),
        plot=_plot,
    )


def spread(figure: Figure) -> str:
    """Low to high, where they differ."""
    low, high = number(figure.low), number(figure.high)
    return "" if low == high else f"{low} to {high}"


def _plot(name: str) -> str:
    draw: Callable[[], Any] = getattr(plots, name)
    return str(draw().to_html(full_html=False, include_plotlyjs=False, config=CONFIG, div_id=name))
