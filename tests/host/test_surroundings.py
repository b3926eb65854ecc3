# SPDX-License-Identifier: Apache-2.0
"""What surrounds the program may fail, or be named strangely: one sentence with a remedy, or a clean run."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.checkpoints import random_checkpoint
from tests.command_line import invoke
from tritforge.golden import Failure, TritforgeError
from tritforge.golden.files import check_writable, replacing, replacing_folder, write_text
from tritforge.rtl_gen.cache.folder import cache_folder
from tritforge.rtl_gen.cache.sources import PACKAGES

ROOT = Path(__file__).parents[2]
STRANGE = "a [bold]b[/x] c "
TINY = ("--preset", "tiny")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_checkpoint(tmp_path_factory.mktemp("model"))


def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    """The program itself, as a user calls it."""
    command = [sys.executable, "-m", "tritforge.host", *map(str, arguments)]
    given = {"cwd": ROOT, "capture_output": True, "text": True}
    return subprocess.run(command, check=False, **(given | options))


def sentence(result: subprocess.CompletedProcess[str], status: int = 2) -> str:
    """The one line that a command says why it ends with a status."""
    assert result.returncode == status, result.stderr
    lines = [line for line in result.stderr.splitlines() if not line.endswith(" ...")]
    assert len(lines) == 1 and lines[0].startswith("Error: ") and not result.stdout, result.stderr
    return lines[0]


# --- files ---------------------------------------------------------------------------------------------------------


def test_a_file_appears_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_text(path, "old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    write_text(path, "new")
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "above" / "folder"
    with pytest.raises(KeyboardInterrupt), replacing_folder(path) as temporary:
        (temporary / "file").write_text("half")
        raise KeyboardInterrupt
    assert list(path.parent.iterdir()) == []
    path.mkdir()  # an empty one is no hindrance
    with replacing_folder(path) as temporary:
        (temporary / "file").write_text("whole")
    assert (path / "file").read_text() == "whole" and list(path.parent.iterdir()) == [path]
    with pytest.raises(OSError, match="not empty"), replacing_folder(path):
        pass
    assert (path / "file").read_text() == "whole" and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("name", ["n" * 255, "木" * 85, "é" * 127, "\udcff" * 255])
def test_a_name_may_be_as_long_as_names_can_be(tmp_path: Path, name: str) -> None:
    write_text(tmp_path / name, "new")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_links_and_devices_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to("circle")
    write_text(tmp_path / "circle", "text")  # it led nowhere
    assert (tmp_path / "circle").read_text() == "text"
    (tmp_path / "link").symlink_to("target")
    write_text(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "target").read_text() == "text"
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_text(tmp_path / "pipe", "text")
    assert os.read(reader, 10) == b"text" and (tmp_path / "pipe").is_fifo()
    os.close(reader)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("none/file", "cannot be written (No such file or directory); create its folder first."),
        ("folder", "cannot be written (Is a directory); name a file in it."),
        ("plain/file", "cannot be written (Not a directory); name a place in a folder."),
        (300 * "x", "cannot be written (File name too long); name a shorter one."),
    ],
)
def test_what_cannot_be_written_is_refused_at_once(tmp_path: Path, path: str, message: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "plain").touch()
    for attempt in (check_writable, lambda path: write_text(path, "text")):
        with pytest.raises(TritforgeError) as refused:
            attempt(tmp_path / path)
        assert str(refused.value).endswith(f"{path} {message}")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["folder", "plain"]


def test_other_errors_are_not_those_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "file"):
        Path("/nowhere/at/all").read_text()
    assert not list(tmp_path.iterdir())


@pytest.fixture
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A disk with little room, 32 kB if nothing else is said."""
    folder = tmp_path / "disk"
    folder.mkdir()
    size = getattr(request, "param", "32k")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False).returncode
    except FileNotFoundError:
        done = 1
    if done:
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize(
    "command",
    [
        ("logits", "{model}", "--ids", "{ids}", "--out", "{disk}/x.npz", *TINY),
        ("pack", "{model}", "-o", "{disk}/x.tfi", *TINY),
        ("verilog", "-o", "{disk}/verilog", *TINY),
        ("random-checkpoint", "--shape", "64,1,64,300", "-o", "{disk}/random"),
        ("ternarise", "{model}", "-o", "{disk}/ternary"),
        ("report", "-o", "{disk}/report.html"),
    ],
    ids=lambda command: command[0],
)
def test_a_full_disk_is_one_sentence_and_nothing_stays(
    model: Path, tmp_path: Path, small_disk: Path, command: tuple[str, ...]
) -> None:
    np.save(tmp_path / "ids.npy", np.arange(300))
    given = {"model": model, "ids": tmp_path / "ids.npy", "disk": small_disk}
    said = sentence(run(*(word.format(**given) for word in command)))
    assert "No space left on device); make room, or name a place that has some." in said
    assert not [path for path in small_disk.rglob("*") if ".tmp" in path.name]


GENERATE = ("generate", "{model}", "--prompt", "a", "--backend", "rtl")


@pytest.mark.parametrize(
    ("small_disk", "command"),
    # the Verilog, which both write alike, has half a megabyte; behind it each builds in its own way
    [("32k", GENERATE), ("200k", ("cosim",)), ("2m", GENERATE), ("2m", ("cosim",))],
    indirect=["small_disk"],
)
def test_a_full_disk_under_the_cache_is_one_sentence(model: Path, small_disk: Path, command: tuple[str, ...]) -> None:
    given = {"env": os.environ | {"TRITFORGE_CACHE": str(small_disk)}}
    said = sentence(run(*(word.format(model=model) for word in command), *TINY, **given))
    assert str(small_disk) in said and "make room, or name a place" in said
    assert not [path for path in small_disk.rglob("*") if ".tmp" in path.name]


# --- places --------------------------------------------------------------------------------------------------------


def test_no_home_to_write_to_and_a_working_folder_full_of_names(tmp_path: Path) -> None:
    """Tools want folders of their own, and a process that runs Python takes modules from where it is."""
    (tmp_path / "home").touch()
    (tmp_path / "wasmtime.py").write_text("raise SystemExit('what lies in the working folder is no module')")
    env = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    env |= {"HOME": str(tmp_path / "home"), "TRITFORGE_CACHE": str(tmp_path / "cache")}
    program = "import sys; sys.argv[0] = 'tritforge'; from tritforge.host.__main__ import main; main()"
    command = [sys.executable, "-P", "-c", program, "verilog", "-o", "verilog", *TINY]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and (tmp_path / "verilog" / "tritforge.v").is_file(), done.stderr
    assert (tmp_path / "cache" / "tools").is_dir()


def test_white_space_and_brackets_in_every_path(model: Path, tmp_path: Path) -> None:
    """The program itself lies in such a folder, its tools too; so do model, image, cache and output."""
    here = tmp_path / STRANGE
    here.mkdir(parents=True)
    program = here / "program" / "tritforge"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, program / package, ignore=shutil.ignore_patterns("__pycache__"))
    site = here / "site"
    site.symlink_to(Path(np.__file__).parents[1])
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(here / "program"), str(site)])}
    env |= {"TRITFORGE_CACHE": str(here / "cache"), "TMPDIR": str(here)}
    copy = random_checkpoint(here / "model")
    options = ("--prompt", "a", "--max-new-tokens", 2, "--backend", "rtl", "--set", "lanes=4", *TINY, "--json")
    done = run("generate", copy, *options, cwd=here, env=env)
    assert done.returncode == 0 and len(json.loads(done.stdout)["tokens"]) == 2, done.stderr
    image = here / "image.tfi"
    assert f"{image}: " in run("pack", copy, "-o", image, *TINY, cwd=here, env=env).stdout
    told = json.loads(run("info", "--json", cwd=here, env=env).stdout)["folders"]
    assert told == {"program": str(program), "cache": str(here / "cache")}
    assert json.loads(run("info", image, "--json", cwd=here, env=env).stdout)["image"] == str(image)
    done = run("cosim", "--tokens", 1, *TINY, "--json", cwd=here, env=env)
    assert done.returncode == 0 and json.loads(done.stdout)["tokens"] == 1, done.stderr
    assert str(here / "none") in sentence(run("info", here / "none", cwd=here, env=env))


# --- errors --------------------------------------------------------------------------------------------------------


def raised(monkeypatch: pytest.MonkeyPatch, error: BaseException, *options: str) -> tuple[int, str]:
    """Exit status and what is said where a command raises."""

    def fail(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr("tritforge.host.cli.image.Image.open", fail)
    result = invoke(*options, "info", "x")
    return result.exit_code, result.stderr


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (TritforgeError("No [/x] :heart: model."), 2, "Error: No [/x] :heart: model.\n"),
        (Failure("They differ."), 1, "Error: They differ.\n"),
        (
            OSError(errno.EROFS, "Read-only file system", "f"),
            2,
            "Error: f: Read-only file system; name another place",
        ),
        (PermissionError(errno.EACCES, "Not for you", "f"), 2, "Error: f: Not for you; name another place"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), 2, "Error: No space left on device; make room"),
        (MemoryError(), 2, "Error: There is not enough memory"),
        (RuntimeError("CPUAllocator: can't allocate memory: 39 TB"), 2, "Error: There is not enough memory"),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), 2, "Error: This needs PyTorch, which is not"),
        (ValueError("not enough\nvalues"), 1, "Error: ValueError: not enough values. This is a bug; please report"),
        (FileNotFoundError(errno.ENOENT, "No such file", "own.v"), 1, "This is a bug"),
        (ModuleNotFoundError("No module named 'hv'", name="hv"), 1, "This is a bug"),
        (KeyError("name"), 1, "This is a bug"),
        (RecursionError("too deep"), 1, "This is a bug"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_is_one_sentence_and_a_status(
    monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, message: str
) -> None:
    code, said = raised(monkeypatch, error)
    assert code == status and message in said and said.count("\n") == 1
    assert ("This is a bug" in said) == ("--debug" in said) == (status == 1 and not isinstance(error, Failure))
    code, said = raised(monkeypatch, error, "--debug")
    assert code == status and "Traceback (most recent call last)" in said and message in said


def test_debug_may_stand_on_either_side(tmp_path: Path) -> None:
    for words in (("--debug", "info"), ("info", "--debug")):
        result = run(*words, tmp_path / "none")
        assert result.returncode == 2 and "Traceback" in result.stderr and "Error: " in result.stderr
    assert "Traceback" not in run("info", tmp_path / "none").stderr


@pytest.mark.parametrize(
    ("words", "status"),
    [("info >&-", 0), ("info > /dev/full", 2), ("--help > /dev/full", 2), ("info /nowhere >&- 2>&-", 2)],
)
def test_streams_that_are_closed_or_full_are_no_bug(words: str, status: int) -> None:
    command = f"{sys.executable} -m tritforge.host {words}"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == status and "Traceback" not in done.stderr and "bug" not in done.stderr


def test_a_reader_that_has_left_is_no_error() -> None:
    for words in ("info", "info --json", "estimate 370M --preset edge --platform ecp5-85f --json"):
        command = f"{sys.executable} -m tritforge.host {words} | true; exit ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
        assert not done.stderr and done.returncode in (0, 1)


# --- interruptions -------------------------------------------------------------------------------------------------


BEFORE = {"harness/": ("core",), "cocotb/": ("core",), "cocotb-runs/": ("core", "cocotb")}
"""What is made and kept before a command gets to what it is interrupted at."""


@pytest.fixture
def heard() -> Iterator[None]:
    """What is begun here hears an interruption, though this be a shell's background job, which does not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("command", "begun"),
    [
        (("verilog", "-o", "{out}", "--preset", "wide"), "maps:numpy"),
        (
            ("generate", "{model}", "--prompt", "a", "--backend", "rtl", "--preset", "wide"),
            "said:Writing the Verilog",
        ),
        (("generate", "{model}", "--prompt", "a", "--backend", "rtl", *TINY), "harness/*.tmp/*.cpp"),
        (("generate", "{model}", "--prompt", 9000 * "a"), "maps:libtorch_cpu"),
        (("cosim", "--tokens", "9", *TINY), "cocotb/*.tmp/*.cpp"),
        (("cosim", "--tokens", "9000", *TINY), "cocotb-runs/*/log.txt"),
        (("synth", *TINY), "check/*.tmp/script.ys"),
    ],
    ids=["imports", "verilog", "build", "integers", "bench", "cosim", "synth"],
)
def test_an_interruption_leaves_no_traceback_and_nothing_half(
    model: Path, tmp_path: Path, heard: None, command: tuple[str, ...], begun: str
) -> None:
    """As from a terminal: all processes of the group get the signal, at what has just begun."""
    cache, said = tmp_path / "cache", tmp_path / "said"
    cache.mkdir()
    there = [kept for start, kept in BEFORE.items() if begun.startswith(start)]
    if there:
        assert run("cosim", "--tokens", 1, *TINY).returncode == 0
        for kept in there[0]:
            (cache / kept).symlink_to(cache_folder() / kept)
    words = [word.format(out=tmp_path / "out", model=model) for word in command]
    with said.open("w") as file:
        process = subprocess.Popen(
            # the program itself: python -m may end by the signal all the same (findings/caught_interrupt_kills.sh)
            [sys.executable, str(Path(sys.executable).with_name("tritforge")), *words],
            cwd=ROOT,
            env=os.environ | {"TRITFORGE_CACHE": str(cache)},
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    while process.poll() is None and not _has_begun(begun, process.pid, cache, said):
        time.sleep(0.01)
    assert process.returncode is None, f"it ended before: {said.read_text()}"
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(60) == 130, said.read_text()
    assert "Traceback" not in said.read_text() and "Error" not in said.read_text(), said.read_text()
    left = [path for kept in cache.iterdir() if not kept.is_symlink() for path in kept.rglob("*")]
    assert not [path for path in left if ".tmp" in path.name or path.parent.name == "cocotb-runs"]


def _has_begun(what: str, process: int, cache: Path, said: Path) -> bool:
    kind, _, word = what.partition(":")
    if kind == "maps":
        return word in Path(f"/proc/{process}/maps").read_text()
    return word in said.read_text() if kind == "said" else any(cache.glob(what))
