# SPDX-License-Identifier: Apache-2.0
"""Values drawn from bytes, in their order: a fuzzer that changes a few of them gets a run that is close by."""

import json
from collections.abc import Sequence
from typing import Any, TypeVar

T = TypeVar("T")

NUMBERS = (
    0,
    1,
    2,
    3,
    7,
    8,
    255,
    256,
    4096,
    2**15,
    2**16,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**32,
    2**60,
    2**63,
    2**64 - 1,
)
"""At which readers go wrong, if they do."""
WORDS = ("", "x", "true", "é", "\0", "../x", "a" * 300, "1e999", "-1", "NaN")


class Draw:
    """Values from bytes; 0 and empty ones when they are at an end.

    Parameters
    ----------
    data
        The bytes.
    """

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def more(self) -> bool:
        """Whether any are left."""
        return self._at < len(self._data)

    def bytes(self, count: int) -> bytes:
        """So many of them, or as many as there are."""
        found = self._data[self._at : self._at + count]
        self._at += count
        return found

    def below(self, most: int) -> int:
        """A number from 0 on."""
        size = (max(1, most - 1).bit_length() + 7) // 8
        return int.from_bytes(self.bytes(size), "little") % most

    def pick(self, options: Sequence[T]) -> T:
        """One of them."""
        return options[self.below(len(options))]

    def number(self) -> int:
        """Any, those at which readers go wrong more often."""
        number = self.pick(NUMBERS) if self.below(2) else int.from_bytes(self.bytes(self.below(9)), "little")
        return -number if self.below(8) == 7 else number

    def text(self) -> str:
        """Any, surrogates too."""
        return self.bytes(self.below(24)).decode("utf-8", "surrogateescape") if self.below(2) else self.pick(WORDS)

    def value(self, depth: int = 2) -> Any:
        """Anything that JSON can carry."""
        kind = self.below(9 if depth else 6)
        if kind < 2:
            return self.number()
        if kind < 6:
            return (self.text, lambda: None, lambda: self.below(2) == 1, lambda: self.number() / 7)[kind - 2]()
        if kind == 6:
            return [self.value(depth - 1) for _ in range(self.below(4))]
        return {self.text(): self.value(depth - 1) for _ in range(self.below(4))}

    def changed(self, data: bytes) -> bytes:
        """The bytes with some of them altered, cut out, doubled or cut off."""
        found = bytearray(data)
        for _ in range(1 + self.below(4)):
            at, kind = self.below(len(found) + 1), self.below(6)
            if kind < 2:
                new = self.bytes(1 + self.below(8))
                found[at : at + len(new)] = new
            elif kind == 2:
                size = self.pick((1, 2, 4, 8))
                found[at : at + size] = (self.number() % 2 ** (8 * size)).to_bytes(size, "little")
            elif kind == 3:
                del found[at : at + self.below(64)]
            elif kind == 4:
                found[at:at] = found[at : at + self.below(64)]
            else:
                del found[at:]
        return bytes(found)

    def altered(self, tree: Any, names: Sequence[str] = ()) -> Any:
        """JSON with one of its values, or one below it, replaced, left out or given another name."""
        if isinstance(tree, dict) and tree and self.below(8):
            tree, kind = dict(tree), self.below(8)
            key = self.pick(sorted(tree))
            if kind == 0:
                del tree[key]
            elif kind == 1:
                tree[self.pick([*names, *tree, self.text()])] = tree.pop(key)
            elif kind == 2:
                tree[self.pick([*names, self.text()])] = self.value()
            else:
                tree[key] = self.altered(tree[key], names)
            return tree
        if isinstance(tree, list) and tree and self.below(8):
            at = self.below(len(tree))
            return [*tree[:at], *([] if self.below(8) == 0 else [self.altered(tree[at], names)]), *tree[at + 1 :]]
        return self.value()

    def json(self, tree: Any, names: Sequence[str] = ()) -> bytes:
        """A JSON text with a few changes of its values, now and then of its bytes."""
        for _ in range(1 + self.below(4)):
            tree = self.altered(tree, names)
        text = json.dumps(tree).encode()
        return text if self.below(8) else self.changed(text)
