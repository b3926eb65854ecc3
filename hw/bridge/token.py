# SPDX-License-Identifier: Apache-2.0
"""What the board tells of a token that it has made."""

from amaranth.lib import data

TOKEN = data.StructLayout({"number": 16, "token": 16, "cycles": 32, "status": 8})
"""number : of the token, counted by who pushes it. cycles : that it took. The first three are the words of a token
frame (`hw.bridge.frames`), the last is its third byte."""
