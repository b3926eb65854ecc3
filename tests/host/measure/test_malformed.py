# SPDX-License-Identifier: Apache-2.0
"""Packets that are wrong in one thing alone."""

import zlib

import numpy as np

from tritforge.host.measure.malformed import with_header, wrong_remainders


def test_each_coordinate_of_the_remainder_is_wrong_by_itself() -> None:
    """They are those of a bit after no word, after one, and so on."""
    packet = with_header(np.random.default_rng(1).integers(256, size=96, dtype=np.uint8), 3, 5)
    right, wrong = zlib.crc32(packet[:64].tobytes()), wrong_remainders(packet)
    words = [zlib.crc32(bytes([1, 0, 0, 0]) + bytes(4 * n)) ^ zlib.crc32(bytes(4 + 4 * n)) for n in range(31)]
    assert [zlib.crc32(one[:64].tobytes()) ^ right for one in wrong] == [1, *words]
    assert all((one[:60] == packet[:60]).all() and (one[64:] == packet[64:]).all() for one in wrong)
