# SPDX-License-Identifier: Apache-2.0
"""The order of a token's weight stream: one schedule for packer, gateware, testbenches and cycle model.

A token is one packet of beats of ``lanes`` bytes. *Side* segments carry 32 bit little-endian words (header,
norm constants, gains, the embedding row) and *trit* segments one row block of a matrix each. Every segment is a
whole number of beats, padded with zero bytes. The side words of a row block are ordered by kind: the first word
of each of its rows, then the second of each, and so on::

    header
    EMBED     constants, { x of each context, gain words } for each row block of hidden
    for each layer:
      MIX       constants, { decay words, gain words, trits f, trits i, trits g } per row block of hidden
      OUT       constants, { gain words, trits o }                                per row block of hidden
      EXPAND    constants, { gain words, trits gate, trits up }                   per row block of intermediate
      CONTRACT  constants, { gain words, trits down }                             per row block of hidden
    HEAD      constants, { trits lm_head }                                      per row block of vocab
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from tritforge.golden import TritforgeError
from tritforge.hw.params import CORE_BITS, WORD_BYTES, CoreParams, Dimensions

MAGIC = 0x31474654
"""'TFG1', little-endian."""
STREAM_VERSION = 2

HEADER_WORDS = 16

MAX_CORES = 1 << CORE_BITS
"""Linked cores that can share a model: a header has four bits for a core's number."""


class HeaderWord(IntEnum):
    """Where the words of a header are; hw/packet.py says what they mean."""

    MAGIC = 0
    GEOMETRY = 1
    CONTEXTS = 2
    SEQUENCE = 3
    TOKENS = 4
    SLOTS = 8
    HIDDEN = 9
    LAYERS = 10
    INTERMEDIATE = 11
    VOCAB = 12
    BEATS = 13
    START = 14
    CRC = 15


CONSTANT_WORDS = 8

RESULT_MAGIC = 0x5446
"""Upper half of the last word but one of a result packet; below it the contexts and a Status."""


class Status(IntEnum):
    """How a packet ended; anything but OK is also a sticky bit of the ERRORS register (bit = value)."""

    OK = 0
    MAGIC = 1
    FORMAT = 2
    GEOMETRY = 3
    LIMITS = 4
    HEADER_CRC = 5
    TOKEN = 6
    SHORT = 7
    LONG = 8
    ABORTED = 9
    STATE = 10
    PEER = 11


STATUS_BITS = 4
"""Bits of a Status."""


class Group(IntEnum):
    """The products of a token, in order; each ends in a dependency (its output is normalised for the next)."""

    EMBED = 0
    MIX = 1
    OUT = 2
    EXPAND = 3
    CONTRACT = 4
    HEAD = 5


MATRICES: dict[Group, tuple[str, ...]] = {
    Group.EMBED: (),
    Group.MIX: ("f", "i", "g"),
    Group.OUT: ("o",),
    Group.EXPAND: ("gate", "up"),
    Group.CONTRACT: ("down",),
    Group.HEAD: ("lm_head",),
}
"""Matrices of a group, interleaved row block by row block (gate and up are the halves of gate_proj)."""


LAYER = (Group.MIX, Group.OUT, Group.EXPAND, Group.CONTRACT)
"""The groups of a layer. EMBED comes before the first layer, HEAD behind the last."""

INPUTS: dict[Group, str] = {Group.CONTRACT: "intermediate"}
OUTPUTS: dict[Group, str] = {Group.EXPAND: "intermediate", Group.HEAD: "vocab"}
"""Which dimension the columns and the rows of a group's matrices have; where nothing stands, it is hidden. The rows
of EMBED are those of its row loop."""


def following(group: Group, last_layer: bool) -> Group:
    """The group behind one that is not the HEAD."""
    return LAYER[0] if group is LAYER[-1] and not last_layer else Group(group + 1)


def gain_words(group: Group, last_layer: bool) -> int:
    """Side words of one output row of a group, without the x words of EMBED.

    A word is a gain of 18 bits above a statistics gain of 14 (packet.gain_word). EMBED: f's gain with the outer
    gain, i's, g's (behind one x word for each context). MIX: the decay gain, then o's gain with g_norm's. OUT:
    gate's with the outer gain. EXPAND: down's. CONTRACT: as EMBED; on the last layer the head's with the outer gain.
    """
    return {
        Group.EMBED: 3,
        Group.MIX: 2,
        Group.OUT: 1,
        Group.EXPAND: 1,
        Group.CONTRACT: 1 if last_layer else 3,
        Group.HEAD: 0,
    }[group]


@dataclass(frozen=True)
class Shape:
    """Dimensions of a model."""

    hidden: int
    layers: int
    intermediate: int
    vocab: int

    @classmethod
    def of(cls, model: Dimensions) -> "Shape":
        """The dimensions of whatever has them."""
        return cls(model.hidden, model.layers, model.intermediate, model.vocab)

    def inputs(self, group: Group) -> int:
        """Columns of the matrices of a group."""
        return int(getattr(self, INPUTS.get(group, "hidden")))

    def outputs(self, group: Group) -> int:
        """Rows of each matrix of a group."""
        return int(getattr(self, OUTPUTS.get(group, "hidden")))


@dataclass(frozen=True)
class Share(Shape):
    """The rows of a model that one of several linked cores has; the dimensions stay those of the whole model.

    Each core has some rows of every matrix, with their gains, state and residual, and all inputs of each product. The
    rows of a dimension are dealt out in granules, those of the first core first; what does not divide is one granule
    more for each of the first cores. `TritforgeError` for a dimension that has fewer granules than there are cores.

    cores, index : how many there are, and which of them this is. granule : rows that stay together, since the vector
    path takes so many a cycle (`CoreParams.vector_rows`).
    """

    cores: int = 1
    index: int = 0
    granule: int = 1

    def __post_init__(self) -> None:
        for name in ("hidden", "intermediate", "vocab"):
            rows = getattr(self, name)
            granules = -(-rows // self.granule)
            if granules < self.cores:
                raise TritforgeError(
                    f"{self.cores} cores cannot share {name} {rows}, which has {granules} row groups "
                    f"(vector_rows={self.granule}); take at most {granules} cores."
                )

    def own(self, group: Group) -> slice:
        """The own rows among those of each matrix of a group."""
        rows = super().outputs(group)
        each, more = divmod(-(-rows // self.granule), self.cores)
        start = each * self.index + min(self.index, more)
        stop = start + each + (self.index < more)
        return slice(start * self.granule, min(stop * self.granule, rows))

    def first(self, group: Group) -> int:
        """The number of the first own row."""
        return int(self.own(group).start)

    def outputs(self, group: Group) -> int:
        """Own rows of each matrix of a group."""
        own = self.own(group)
        return int(own.stop - own.start)


def shares(shape: Shape, cores: int, granule: int) -> tuple[Share, ...]:
    """What each of so many linked cores has of a model; TritforgeError where they cannot share it."""
    if not 1 <= cores <= MAX_CORES:
        raise TritforgeError(f"1 to {MAX_CORES} linked cores can share a model, not {cores}.")
    return tuple(Share(**vars(shape), cores=cores, index=index, granule=granule) for index in range(cores))


@dataclass(frozen=True)
class Segment:
    """A run of beats of one kind.

    kind : "header", "constants", "gains" or a matrix name; layer : its layer (layers for the head);
    block : row block; beats : length in beats.
    """

    kind: str
    group: Group
    layer: int
    block: int
    beats: int


def side_beats(params: CoreParams, words: int) -> int:
    """Beats of a side segment of ``words`` 32 bit words."""
    return -(-WORD_BYTES * words // params.lanes)


def groups(shape: Shape) -> Iterator[tuple[Group, int]]:
    """(group, layer) in stream order."""
    group, layer = Group.EMBED, 0
    yield group, layer
    while group is not Group.HEAD:
        last_layer = layer == shape.layers - 1
        group, layer = following(group, last_layer), layer + (group is LAYER[-1])
        yield group, layer


def segments(params: CoreParams, shape: Shape, contexts: int = 1) -> Iterator[Segment]:
    """Every segment of a packet for so many contexts, in stream order."""
    yield Segment("header", Group.EMBED, 0, 0, side_beats(params, HEADER_WORDS))
    for group, layer in groups(shape):
        yield from group_segments(params, shape, group, layer, contexts)


def block_side_beats(params: CoreParams, group: Group, last_layer: bool, contexts: int = 1) -> int:
    """Beats of the side words of a row block."""
    words = gain_words(group, last_layer) + (contexts if group is Group.EMBED else 0)
    return params.gain_beats * words


def group_segments(
    params: CoreParams, shape: Shape, group: Group, layer: int, contexts: int = 1
) -> Iterator[Segment]:
    """The segments of one group."""
    yield Segment("constants", group, layer, 0, side_beats(params, CONSTANT_WORDS))
    side = block_side_beats(params, group, layer == shape.layers - 1, contexts)
    beats = params.beats(shape.inputs(group))
    for block in range(params.blocks(shape.outputs(group))):
        if side:
            yield Segment("gains", group, layer, block, side)
        for matrix in MATRICES[group]:
            yield Segment(matrix, group, layer, block, beats)


def group_beats(params: CoreParams, shape: Shape, group: Group, layer: int, contexts: int = 1) -> int:
    """Beats of one group, in closed form."""
    side = block_side_beats(params, group, layer == shape.layers - 1, contexts)
    block = side + len(MATRICES[group]) * params.beats(shape.inputs(group))
    return side_beats(params, CONSTANT_WORDS) + params.blocks(shape.outputs(group)) * block


def token_beats(params: CoreParams, shape: Shape, contexts: int = 1) -> int:
    """Beats of a whole packet."""
    return side_beats(params, HEADER_WORDS) + sum(
        group_beats(params, shape, g, layer, contexts) for g, layer in groups(shape)
    )
