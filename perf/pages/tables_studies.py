# SPDX-License-Identifier: Apache-2.0
"""What documents say of numbers and formats, made of perf/measured (`perf.measured.studies` measures)."""

from collections.abc import Mapping, Sequence
from typing import Any

from tritforge.perf.figure import number
from tritforge.perf.measured import plan
from tritforge.perf.measured.plan import Measurement
from tritforge.perf.pages.dots import compared, draw
from tritforge.perf.pages.markdown import table

Rows = Sequence[Mapping[str, Any]]
COLOURS = ("#1f5fa8", "#b8701a", "#2e8b57", "#7a4fa3")


def rows(measured: Measurement) -> Rows:
    """What a comparison printed."""
    found: Rows = measured.entry.data["rows"]
    return found


def errors() -> str:
    """Of each step of the numeric contract."""
    found = plan.ERRORS.entry.data
    lines = [(name.replace("|x|", "abs(x)"), f"{error:.2e}") for name, error in found.items()]
    return table(("step", "largest error"), (True, False), lines)


def fidelity() -> str:
    """Against the public implementation."""
    found = [plan.FIDELITY[model].entry.data for model in ("A", "B")]
    shown = {
        "int8 codes compared, fed the reference's inputs": ("codes", "{:,}"),
        "equal": ("equal codes", "{:.3%}"),
        "largest difference": ("largest code difference", "{:.0f}"),
        "rms logit error": ("rms logit error", "{:.4f}"),
        "rms logit error of the authors' own half precision": ("rms logit error of half precision", "{:.4f}"),
    }
    lines = [(what, *(form.format(data[key]) for data in found)) for what, (key, form) in shown.items()]
    return table(("", "hidden 64, 2 layers", "hidden 128, 4 layers"), (True, False, False), lines)


def score(backend: str) -> str:
    """Bits per character of the shipped model on its validation text."""
    return f"{plan.SCORES[backend].entry.data['bits_per_character']:.4f}"


def scores() -> str:
    """Of the shipped model, in float32 and in integers."""
    names = {"float": "float32 reference", "integer": "integer model, as in hardware"}
    lines = []
    for backend, what in names.items():
        data = plan.SCORES[backend].entry.data
        lines.append((what, f"{data['bits_per_character']:.4f}", f"{data['perplexity']:.2f}"))
    return table(("", "bits per character", "perplexity per token"), (True, False, False), lines)


def outlier_shares() -> str:
    """What is an outlier."""
    found = {model: {row["activations"]: row for row in rows(one)} for model, one in plan.OUTLIERS.items()}
    shares = (
        ("LLM.int8()", "LLM.int8(): columns apart, token by token"),
        ("9 bits, 127 is 6 rms", "beyond 6 rms: elements"),
    )
    lines = []
    for key, what in shares:
        lines.append((what, *(f"{100 * found[model][key]['outliers']:.2f} %" for model in found)))
        lines.append(("vectors with any", *(f"{100 * found[model][key]['vectors with']:.0f} %" for model in found)))
    return table(("", "A", "B", "shipped model", "random 370M"), (True, *[False] * 4), lines)


def outliers() -> str:
    """What each way to code the inputs of products costs."""
    found = {model: {row["activations"]: row for row in rows(one)} for model, one in plan.OUTLIERS.items()}
    said = {
        "int8": "int8 absmax (the model as published)",
        "LLM.int8()": "LLM.int8(), threshold 6.0",
    }
    lines = []
    for key, tales in found["tales"].items():
        name = said.get(key, key)
        if name.endswith("is 6 rms"):
            name += " or what just fits"
        name = name.replace("is max / 2^s", "is max / 2^s, threshold 6").replace(", absmax", " absmax")
        name = name.replace("integer model", "*integer model*").replace("threshold 0.0625", "threshold 1/16")
        name = name.replace("threshold 0", "threshold off") if name.endswith("threshold 0") else name
        errors_of = [_error(found[model][key]["logit error"]) for model in ("A", "B", "tales", "370M")]
        lines.append((name, *errors_of, f"{tales['equal argmax']:.3f}", f"{tales['bits/char']:.4f}"))
    head = ("inputs of products", "logit error: A", "B", "shipped", "370M", "argmax, shipped", "bits per character")
    return table(head, (True, *[False] * 6), lines)


def outlier_remarks() -> str:
    """What the table of outliers says."""
    found = {model: {row["activations"]: row for row in rows(one)} for model, one in plan.OUTLIERS.items()}

    def left(key: str, base: str = "int8") -> list[float]:
        """Logit error over that of eight bits, of each model."""
        return [by_name[key]["logit error"] / by_name[base]["logit error"] for by_name in found.values()]

    ten, llm = left("10 bits, 127 is max / 2^s"), left("LLM.int8()")
    gone, theirs = ([1 - share for share in shares] for shares in (ten, llm))
    bits = [row["bits/char"] for row in found["tales"].values()]
    all_ten, all_twelve = (
        max(left(f"integer model, {bits} bits, threshold 0.0625", "integer model, 8 bits, threshold 0"))
        for bits in (10, 12)
    )
    int8, share = found["tales"]["int8"]["logit error"], found["tales"]["9 bits, 127 is 6 rms"]["vectors with"]
    return (
        f"* Two bits more do what LLM.int8() does: {min(gone):.0%} to {max(gone):.0%} of int8's error is gone, there "
        f"{min(theirs):.0%} to {max(theirs):.0%}. Two further ones change little at a threshold of 6, as a largest "
        "element of more than 24 rms is rare. (In A and B there can be none: an element is at most sqrt(n) rms, and "
        "n is 512 at most.)\n"
        f"* The shipped model does not notice: all rows lie within {max(bits) - min(bits):.4f} bits per character. "
        f"It was trained with int8 inputs, and though {share:.0%} of its vectors have an outlier, int8 costs its "
        f"logits {int8:.1%}.\n"
        "* Once the adders have the bits, a threshold only keeps them idle. At 1/16 every vector takes all of them, "
        f"which is absmax in 10 or 12 bits: at most {all_ten:.0%} of int8's error in 10 bits and {all_twelve:.0%} in "
        "12, with the same gates. A threshold of 6 is for those who want ordinary vectors coded as the published "
        "model codes them.\n"
    )


def shrinks() -> str:
    """What the scale of the shipped model becomes when its mean is taken again."""
    again = {(row["route"], row["times"]): row for row in rows(plan.REPEATED["tales"])}
    return f"{again['mean again', 1]['scale left']:.2f}"


def repeated() -> str:
    """Trits stored again and again."""
    found = {model: {(row["route"], row["times"]): row for row in rows(one)} for model, one in plan.REPEATED.items()}
    lines = []
    for (route, times), tales in found["tales"].items():
        name = route.replace("mean again", "mean taken again")
        others = [_error(found[model][route, times]["logit error"]) for model in ("A", "B")]
        left, bits = f"{tales['scale left']:.4g}", f"{tales['bits/char']:.4f}"
        lines.append((name, str(times) if times else "", left, bits, f"{tales['equal argmax']:.3g}", *others))
    head = ("", "times", "scale left", "bits per character", "argmax", "logit error: A", "logit error: B")
    return table(head, (True, *[False] * 6), lines)


def embedding_rows() -> str:
    """Embedding rows of fewer bits or larger groups."""
    found = {model: {(row["bits"], row["group"]): row for row in rows(one)} for model, one in plan.ROWS.items()}
    lines = []
    for (bits, group), tales in found["tales"].items():
        a, b = (found[model].get((bits, group)) for model in ("A", "B"))
        lines.append(
            (
                str(bits),
                str(group),
                f"{tales['row error']:.2g}",
                f"{tales['bits/char']:.4f}",
                f"{tales['equal argmax']:.3f}",
                f"{b['row error']:.2g}" if b else "",
                f"{a['logit error']:.3f}" if a else "",
                f"{b['logit error']:.3f}" if b else "",
            )
        )
    head = ("bits", "values a scale", "row error", "bits per character", "argmax", "row error: B", "logit error: A")
    return table((*head, "logit error: B"), [False] * 8, lines)


def memory() -> str:
    """What generating from an image of 2.7B takes beside it."""
    said = {
        "stand-in": "a stand-in for the core, which reads every packet and answers with logits",
        "simulated": "the simulated core, `wide` with the model's limits (`--simulate --tokens 1`)",
    }
    lines = []
    for kind, measured in plan.MEMORY.items():
        before, after = (measured.entry.data["MB"][when] for when in ("before", "after"))
        counts = (before["resident"], after["resident"], after["anonymous"], after["peak"])
        lines.append((said[kind], *(f"{count:.1f}" for count in counts)))
    return table(("MB", "at the start", "at the end", "of that anonymous", "at most"), (True, *[False] * 4), lines)


def outliers_picture() -> str:
    """Logit errors by how the inputs are coded."""
    names = {"A": "A", "B": "B", "tales": "shipped", "370M": "370M"}
    return _picture(
        {names[model]: one for model, one in plan.OUTLIERS.items()}, ["activations"], ["logit error"], 300
    )


def repeated_picture() -> str:
    """The scale that is left."""
    found = {model: plan.REPEATED[model] for model in ("tales", "B")}
    return _picture(found, ["route", "times"], ["scale left", "logit error"])


def embedding_picture() -> str:
    """Errors of rows and logits."""
    found = {model: plan.ROWS[model] for model in ("tales", "B")}
    return _picture(found, ["bits", "group"], ["row error", "logit error"])


def _picture(found: Mapping[str, Measurement], labels: Sequence[str], values: Sequence[str], width: int = 200) -> str:
    files = {name: rows(measured) for name, measured in found.items()}
    return draw(compared(files, labels, values), values, "", width, dict(zip(files, COLOURS, strict=False)))


def _error(value: float) -> str:
    return "0" if not value else f"{value:.4f}" if value >= 0.001 else number(value)
