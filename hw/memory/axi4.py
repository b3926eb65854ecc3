# SPDX-License-Identifier: Apache-2.0
"""AXI4, as far as a memory needs it."""

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

WIDTHS = (64, 128, 256, 512)
INCREMENTING = 1
CACHE = 0b0011
"""Bufferable and modifiable: bridges on the way may split and join."""


def _address(channel: str, address_bits: int, id_bits: int) -> dict[str, wiring.Member]:
    widths = {"id": id_bits, "addr": address_bits, "len": 8, "size": 3, "burst": 2, "lock": 1, "cache": 4, "prot": 3}
    members = {f"{channel}{name}": Out(width) for name, width in widths.items()}
    return members | {f"{channel}valid": Out(1), f"{channel}ready": In(1)}


class Axi4Read(wiring.Signature):
    """The channels of AXI4 that read, seen from the master.

    Parameters
    ----------
    address_bits : of ``araddr``, which counts bytes.
    bits : of a word.
    id_bits : of ``arid`` and ``rid``.

    Attributes
    ----------
    ar* : Out, but for ``arready``. r* : In, but for ``rready``.
    """

    def __init__(self, address_bits: int, bits: int, id_bits: int) -> None:
        super().__init__(
            _address("ar", address_bits, id_bits)
            | {
                "rid": In(id_bits),
                "rdata": In(bits),
                "rresp": In(2),
                "rlast": In(1),
                "rvalid": In(1),
                "rready": Out(1),
            }
        )


class Axi4(wiring.Signature):
    """AXI4, seen from the master.

    Parameters
    ----------
    address_bits, bits, id_bits : as of `Axi4Read`.

    Attributes
    ----------
    ar*, r* : as of `Axi4Read`. aw*, w* : Out, but for ``awready`` and ``wready``. b* : In, but for ``bready``.
    """

    def __init__(self, address_bits: int, bits: int, id_bits: int) -> None:
        super().__init__(
            _address("aw", address_bits, id_bits)
            | {
                "wdata": Out(bits),
                "wstrb": Out(bits // 8),
                "wlast": Out(1),
                "wvalid": Out(1),
                "wready": In(1),
                "bid": In(id_bits),
                "bresp": In(2),
                "bvalid": In(1),
                "bready": Out(1),
            }
            | dict(Axi4Read(address_bits, bits, id_bits).members)
        )
