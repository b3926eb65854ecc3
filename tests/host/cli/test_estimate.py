# SPDX-License-Identifier: Apache-2.0
"""The comparison of trit codes: what it tells at any bandwidth, and what it refuses."""

from tests.command_line import ask, call, refuse


def test_codes_are_compared_at_any_bandwidth() -> None:
    found = ask("codes", "370M", "--bandwidth", 0.5)
    assert [row["code"] for row in found] == ["nested", "two_bit", "positional"]
    by_code = {row["code"]: row for row in found}
    assert by_code["two_bit"]["bytes a token"] > 1.2 * by_code["nested"]["bytes a token"]
    rates = [row["tokens/s at 0.5 GB/s"] * row["bytes a token"] for row in found]
    assert max(rates) < 1.01 * min(rates) <= 0.51e9  # all wait for the memory
    lines = call("codes", "370M").splitlines()
    assert all(name in lines[1] for name in by_code) and max(map(len, lines)) <= 80
    refuse("--bandwidth takes GB/s above 0.", "codes", "370M", "--bandwidth", 0)
    refuse("none does not exist; give a checkpoint folder or an image", "codes", "none")
