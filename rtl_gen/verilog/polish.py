# SPDX-License-Identifier: Apache-2.0
"""Last touches to the text of emitted Verilog."""

import re


def polish(text: str) -> str:
    """Replace what linters take for mistakes, and what is long-winded, by something equal."""
    # An initial value belongs in an initial block: a declaration's is for variables that are never assigned.
    text = re.sub(r"^  reg (\[\d+:0\] )?(\w+|\\\S+ ) = (.+);$", r"  reg \1\2;\n  initial \2 = \3;", text, flags=re.M)
    # The value of a register without its upper bits, which nobody reads, is as wide as with them.
    text = re.sub(r"(?<= = )\d+'([bh])x+([0-9a-f]+);$", _without_unread, text, flags=re.M)
    # A one-hot selection is written with overlapping patterns; the first match wins, so the rest may be 0.
    text = re.sub(r"'b(\?*)1(\?*):$", lambda m: f"'b{m[1]}1{'0' * len(m[2])}:", text, flags=re.M)
    # Memories are mostly cleared, word by word.
    text = re.sub(r"^  initial begin\n((?:    \S+ ?\[\d+\] = .+;\n)+)  end$", _shorten_clear, text, flags=re.M)
    # The function of a selection names the arguments like signals a design may have.
    text = re.sub(r"^  function .*?^  endfunction", _rename_arguments, text, flags=re.M | re.S)
    # Sign extension repeats one bit many times.
    repeated = r"(?<!\w)(\w+(?:\[\d+\])?)((?:, \1(?![\w\[])){3,})"
    return re.sub(repeated, lambda m: f"{{{m[2].count(',') + 1}{{{m[1]}}}}}", text)


def _without_unread(value: re.Match[str]) -> str:
    bits = len(value[2]) * (1 if value[1] == "b" else 4)
    return f"{bits}'{value[1]}{value[2]};"


def _shorten_clear(initial: re.Match[str]) -> str:
    words = re.findall(r"^    (\S+) ?\[(\d+)\] = (.+);$", initial[1], re.M)
    (name, _, value), last = words[0], int(words[-1][1])
    if len({word[2] for word in words}) > 1 or last + 1 != len(words):
        return initial[0]
    row = f"{name.removeprefix(chr(92))}_row"
    return (
        f"  integer {row};\n  initial\n    for ({row} = 0; {row} <= {last}; {row} = {row} + 1)\n"
        f"      {name} [{row}] = {value};"
    )


def _rename_arguments(function: re.Match[str]) -> str:
    names = {"a": "otherwise_", "b": "choices_", "s": "select_"}
    return re.sub(r"(?<!')\b[abs]\b", lambda match: names[match[0]], function[0])
