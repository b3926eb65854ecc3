# SPDX-License-Identifier: Apache-2.0
"""Joins Verilator's files into one for the compiler; a program that `make` calls in place of Verilator's own.

What runs once, when a simulation begins, is most of the text and takes the compiler longest. It stands last and is
compiled without optimisation.
"""

import sys
from collections.abc import Iterable, Iterator

UNOPTIMISED = '#pragma GCC optimize ("O0")'


def joined(names: Iterable[str]) -> Iterator[str]:
    """Lines of the one file: those of each cycle first."""
    often: list[str] = []
    once: list[str] = []
    for name in names:
        (once if name.endswith("Slow.cpp") else often).append(name)
    yield from (f'#include "{name}"' for name in often)
    yield UNOPTIMISED
    yield from (f'#include "{name}"' for name in once)


if __name__ == "__main__":
    print("\n".join(joined(word for word in sys.argv[1:] if not word.startswith("-"))))
