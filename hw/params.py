# SPDX-License-Identifier: Apache-2.0
"""Core parameters: the only source of geometry for gateware, packer, testbenches and estimates."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol

from tritforge.golden import TritforgeError
from tritforge.golden.model.activations import Activations
from tritforge.golden.model.formats import CODE_MAX, Formats
from tritforge.hw.trits import CODES, Code

BYTE = 8
"""Bits."""
WORD_BYTES = 4
"""Of a side word, a header's word, a result's word."""
WORD_BITS = BYTE * WORD_BYTES
MAX_BATCH = 8
"""Contexts that a packet can have."""
MAX_LINK_BYTES = 64
"""Of a beat of a link."""
CONTEXTS_BITS = MAX_BATCH.bit_length()
"""Of a number of contexts."""
CORE_BITS = 4
"""Of a core's number in a ring, and of the number of others."""
LIMITS: dict[str, tuple[int, int]] = {
    "hidden": (8, 8192),
    "layers": (1, 255),
    "intermediate": (8, 8192),
    "vocab": (2, 65535),
}
"""Of each dimension of a model, in the order of a header: the least and the most that a core's limit can be."""


class Dimensions(Protocol):
    """What has the dimensions of a model: `hw.schedule.Shape`, or a checkpoint's configuration."""

    @property
    def hidden(self) -> int: ...
    @property
    def layers(self) -> int: ...
    @property
    def intermediate(self) -> int: ...
    @property
    def vocab(self) -> int: ...


def limits_for(model: Dimensions) -> dict[str, Any]:
    """The limits of a core that is just large enough for a model, as arguments of `CoreParams`."""
    return {f"max_{name}": max(getattr(model, name), least) for name, (least, _) in LIMITS.items()}


@dataclass(frozen=True)
class CoreParams:
    """Geometry and limits of one core.

    Parameters
    ----------
    lanes : bytes of a weight beat, a power of two, 4 to 256.
    element_bytes : bytes of a beat that belong to one output row, 1, 2 or 4; a processing element takes their trits.
    code : trit code of the weights, by its name in `hw.trits.CODES`.
    act_bits : bits of an activation code, 8 to 12; those beyond eight are for outliers
        (`golden.model.outlier_codes`).
    vector_rows : output rows that the vector path takes a cycle, a power of two up to ``lanes / 4`` and ``columns``.
    batch : contexts, 1 to 8: tokens that one pass over the weights can serve.
    link_bytes : bytes of a beat of the link to other cores that share the model, 0 to 64; 0 for a core without one.
    max_hidden, max_intermediate, max_layers, max_vocab : largest model that runs without regeneration.
    formats : widths of the vector path.
    taps : bring the accumulators and vector results out on debug ports.
    """

    lanes: int = 16
    element_bytes: int = 2
    code: str = "nested"
    act_bits: int = 8
    vector_rows: int = 1
    batch: int = 1
    link_bytes: int = 0
    max_hidden: int = 1024
    max_intermediate: int = 2816
    max_layers: int = 24
    max_vocab: int = 32000
    formats: Formats = field(default_factory=Formats)
    taps: bool = False

    def __post_init__(self) -> None:
        if self.lanes not in (4, 8, 16, 32, 64, 128, 256):
            raise TritforgeError(f"lanes must be a power of two from 4 to 256, not {self.lanes}.")
        if self.element_bytes not in (1, 2, 4):
            raise TritforgeError(f"element_bytes must be 1, 2 or 4, not {self.element_bytes}.")
        if self.rows < 2:
            raise TritforgeError("lanes / element_bytes must be at least 2 rows; lower element_bytes.")
        if self.code not in CODES:
            raise TritforgeError(f"Unknown code '{self.code}'; choose from {', '.join(CODES)}.")
        Activations(self.act_bits)
        if self.vector_rows not in (1, 2, 4, 8, 16, 32, 64) or self.vector_rows > self.beat_words:
            raise TritforgeError(
                f"vector_rows must be a power of two up to lanes / 4 = {self.beat_words}, not {self.vector_rows}."
            )
        if self.vector_rows > self.columns:
            raise TritforgeError(
                f"vector_rows must be at most the {self.columns} columns of a beat, not {self.vector_rows}."
            )
        if self.max_hidden % self.vector_rows:
            raise TritforgeError(f"max_hidden must be a multiple of vector_rows ({self.vector_rows}).")
        bounds = {"batch": (1, MAX_BATCH), "link_bytes": (0, MAX_LINK_BYTES)} | {
            f"max_{name}": bounds for name, bounds in LIMITS.items()
        }
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise TritforgeError(f"{name} must be {low} to {high}, not {value}.")

    @property
    def limits(self) -> dict[str, int]:
        """The largest model, by dimension, in the order of `LIMITS`."""
        return {name: getattr(self, f"max_{name}") for name in LIMITS}

    @property
    def linked(self) -> bool:
        """Whether it can share a model with other cores; it takes packets for a `hw.schedule.Share` alone."""
        return self.link_bytes > 0

    @property
    def beat_bits(self) -> int:
        """Bits of a beat."""
        return BYTE * self.lanes

    @property
    def beat_words(self) -> int:
        """Words of 32 bits in a beat."""
        return self.lanes // WORD_BYTES

    @property
    def rows(self) -> int:
        """Output rows of a row block."""
        return self.lanes // self.element_bytes

    @property
    def row_groups(self) -> int:
        """Groups of ``vector_rows`` rows in a row block."""
        return self.rows // self.vector_rows

    @property
    def gain_beats(self) -> int:
        """Beats of one side word for each row of a row block; always whole."""
        return WORD_BYTES // self.element_bytes

    @property
    def trit_code(self) -> Code:
        """The code itself."""
        return CODES[self.code]

    @property
    def columns(self) -> int:
        """Activations that every element takes in a beat."""
        return self.trit_code.trits * self.element_bytes

    @property
    def max_inputs(self) -> int:
        """Longest row of any matrix."""
        return max(self.max_hidden, self.max_intermediate)

    @property
    def context_bits(self) -> int:
        """Width of a context's number; at least one bit, since a port needs one."""
        return max(1, (self.batch - 1).bit_length())

    @property
    def slot_values(self) -> int:
        """Values of the recurrent state that a slot has room for."""
        return self.max_layers * self.max_hidden

    @property
    def store_positions(self) -> int:
        """Words of ``columns`` values in the vector store: three vectors of ``max_hidden`` or one of
        ``max_intermediate`` elements, of each context."""
        return self.batch * max(3 * self.beats(self.max_hidden), self.beats(self.max_intermediate))

    @property
    def extra_bits(self) -> int:
        """Bits of a code beyond eight."""
        return Activations(self.act_bits).extra

    @property
    def code_max(self) -> int:
        """Largest magnitude of a code."""
        return CODE_MAX << self.extra_bits

    @property
    def acc_bits(self) -> int:
        """Signed accumulator width: no product can overflow it."""
        return (self.code_max * self.max_inputs).bit_length() + 1

    def beats(self, n_in: int) -> int:
        """Beats of one row block of a matrix with n_in columns."""
        return -(-n_in // self.columns)

    def blocks(self, n_out: int) -> int:
        """Row blocks of a matrix with n_out rows."""
        return -(-n_out // self.rows)

    def misfit(self, model: Dimensions) -> str | None:
        """A sentence that names the limit a model exceeds, or None if it fits."""
        for name, limit in self.limits.items():
            value = getattr(model, name)
            if value > limit:
                return f"The model has {name} {value}; this core takes at most {limit}."
        return None

    def override(self, settings: Mapping[str, str]) -> "CoreParams":
        """A copy with ``name=value`` settings applied; widths of the formats go by their own names."""
        own = {f.name for f in fields(self)} - {"formats"}
        widths = {f.name for f in fields(self.formats)}
        geometry: dict[str, Any] = {}
        fmt: dict[str, Any] = {}
        for name, text in settings.items():
            if name not in own | widths:
                raise TritforgeError(f"Unknown parameter '{name}'; choose from {', '.join(sorted(own | widths))}.")
            try:
                value = text if name == "code" else int(text)
            except ValueError:
                raise TritforgeError(f"Parameter {name} needs a whole number, not '{text}'.") from None
            (geometry if name in own else fmt)[name] = bool(value) if name == "taps" else value
        return replace(self, formats=replace(self.formats, **fmt), **geometry)


PRESETS: dict[str, CoreParams] = {
    "tiny": CoreParams(lanes=4, max_hidden=128, max_intermediate=512, max_layers=4, max_vocab=1024),
    "edge": CoreParams(lanes=16),
    "wide": CoreParams(lanes=64, element_bytes=4, max_hidden=2048, max_intermediate=5632),
}
"""tiny for tests; edge sized for the 370M model; wide sized for 1.3B."""


def preset(name: str) -> CoreParams:
    """The named preset; TritforgeError with the known names otherwise."""
    if name not in PRESETS:
        raise TritforgeError(f"Unknown preset '{name}'; choose from {', '.join(PRESETS)}.")
    return PRESETS[name]
