# SPDX-License-Identifier: Apache-2.0
"""Which tensor of a file is which of the model: names with prefixes, and tensors that the model does not have."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

WRAPPERS = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
"""Parts that data-parallel training, compilation and recomputation put into names, at any place."""
_MODEL = ("model.", "lm_head.")
"""What the names of the model's own tensors begin with; nothing else takes part in its logits."""
_BUFFERS = frozenset({"inv_freq", "position_ids", "masked_bias", "num_batches_tracked", "total_ops", "total_params"})
"""Last parts of the names of what other code counts, or computes anew, but keeps beside weights."""
_SHOWN = 3


@dataclass
class Match:
    """What became of the names in a file.

    Attributes
    ----------
    found
        Stored names of the model's tensors, by the model's names.
    copies
        The model's names of tensors that are there once more, by the stored names.
    harmful, harmless
        Stored names of tensors that the model does not have: such as belong to it, so that without them it would say
        something else, and others.
    prefix
        What the names found have in front of the model's.
    removed
        All that they have too much: wrappers and the prefix.
    instead
        Of tensors that were not found, a stored name that ends alike and is no other's, where there is one.
    """

    found: dict[str, str] = field(default_factory=dict)
    copies: dict[str, str] = field(default_factory=dict)
    harmful: list[str] = field(default_factory=list)
    harmless: list[str] = field(default_factory=list)
    prefix: str = ""
    removed: list[str] = field(default_factory=list)
    instead: dict[str, str] = field(default_factory=dict)


def match(stored: Collection[str], wanted: Collection[str]) -> Match:
    """Find the tensors `wanted` among those `stored`, whose names may have wrappers and one prefix in common."""
    plain = {name: ".".join(part for part in name.split(".") if part not in WRAPPERS) for name in stored}
    own = {name: next((end for end in _ends(plain[name]) if end in wanted), None) for name in stored}
    prefixes = Counter(plain[name].removesuffix(end) for name, end in own.items() if end is not None)
    # the shorter of those that fit as many
    prefix = max(prefixes, key=lambda prefix: (prefixes[prefix], -len(prefix)), default="")
    result = Match(prefix=prefix)
    for name in sorted(stored, key=len):
        end, inner = own[name], plain[name].removeprefix(prefix)
        inside = inner.startswith(_MODEL)
        if end is not None and plain[name] == prefix + end and end not in result.found:
            result.found[end] = name
        elif end is not None and (inside or prefix):
            result.copies[name] = end
        elif inside and inner.split(".")[-1] not in _BUFFERS and "rotary" not in inner:
            result.harmful.append(name)
        else:
            result.harmless.append(name)
    wrappers = {part for name in result.found.values() for part in name.split(".") if part in WRAPPERS}
    result.removed = [*sorted(f"{part}." for part in wrappers), *([prefix] if prefix else [])]
    if len(result.found) < len(wanted):
        used = set(result.found.values())
        unused = sorted(set(stored) - used, key=len, reverse=True)
        endings = {end: name for name in unused for end in _ends(plain[name])}
        for name in wanted:
            # with another beginning than the model's, or in front of it
            other = endings.get(name, endings.get(name.removeprefix("model.")))
            if name not in result.found and other is not None:
                result.instead[name] = other
    return result


def some(names: Collection[str]) -> str:
    """The first few of many names, in words."""
    first = list(names)[:_SHOWN]
    more = len(names) - len(first)
    return ", ".join(first) + (f" and {more} more" if more else "")


def _ends(name: str) -> list[str]:
    """The name, and what is behind each of its dots."""
    parts = name.split(".")
    return [".".join(parts[at:]) for at in range(len(parts))]
