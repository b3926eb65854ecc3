# SPDX-License-Identifier: Apache-2.0
"""Where things are kept, and what names them: the folder, the contents of files, the modules that decide."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from tritforge.golden import TritforgeError
from tritforge.rtl_gen.cache import content, sources
from tritforge.rtl_gen.cache import folder as cache
from tritforge.rtl_gen.cache.content import content_digest
from tritforge.rtl_gen.cache.folder import cache_folder, tool_environment

IMAGE = ("tritforge.host.image.pack",)
VERILOG = ("tritforge.hw.core", "tritforge.rtl_gen.verilog.emit")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home and no other idea of where things are kept."""
    monkeypatch.delenv("TRITFORGE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that lies in a checkout."""
    (tmp_path / "checkout").mkdir()
    (tmp_path / "checkout" / "pyproject.toml").touch()
    monkeypatch.setattr(cache, "ROOT", tmp_path / "checkout")
    cache._first.cache_clear()
    return tmp_path / "checkout"


def test_the_variable_goes_before_the_users_folder(
    home: Path, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cache_folder() == home / ".cache" / "tritforge" and cache_folder().is_dir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "tritforge"
    monkeypatch.setenv("TRITFORGE_CACHE", str(tmp_path / "named"))
    assert cache_folder() == tmp_path / "named"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRITFORGE_CACHE", "here")
    assert cache_folder() == tmp_path / "here" and cache_folder().is_dir()
    assert not (checkout / "build").exists()


def test_a_home_that_cannot_be_written_leaves_the_checkout(home: Path, checkout: Path) -> None:
    home.touch()  # a file, in which nobody, not even root, can make a folder
    assert cache_folder() == checkout / "build"
    assert tool_environment()["XDG_CACHE_HOME"] == str(checkout / "build" / "tools")


def test_tools_keep_their_own_folder_where_it_can_be_written(home: Path) -> None:
    assert tool_environment() == dict(os.environ)


def test_no_folder_at_all_is_one_sentence_with_the_remedy(home: Path, checkout: Path) -> None:
    home.touch()
    (checkout / "build").touch()
    with pytest.raises(TritforgeError, match=r"(?s)home/.*; .*checkout/build.*TRITFORGE_CACHE") as refused:
        cache_folder()
    assert "\n" not in str(refused.value)


def test_a_named_folder_that_cannot_be_written_is_refused(
    home: Path, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TRITFORGE_CACHE", str(tmp_path / "file"))
    with pytest.raises(TritforgeError, match=r"file: .*TRITFORGE_CACHE"):
        cache_folder()


@pytest.fixture
def unsettled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as settled at once, so that what could be remembered is."""
    monkeypatch.setattr(content, "SETTLED", 0)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, unsettled: None) -> list[str]:
    """The files whose contents are read from here on; none is remembered from before."""
    monkeypatch.setenv("TRITFORGE_CACHE", str(tmp_path / "cache"))
    cache_folder()
    seen, read = [], content._digest

    def digest(path: Path, progress: Callable[[int], None] | None) -> bytes:
        told: list[int] = []
        found = read(path, told.append)
        if told:
            seen.append(path.name)
        return found

    monkeypatch.setattr(content, "_digest", digest)
    return seen


def write(path: Path, text: str, time: int = 1) -> Path:
    """A file with the time that Nix and builders of containers give every file."""
    path.write_text(text)
    os.utime(path, ns=(time, time))
    return path


def moved_over(path: Path, text: str) -> None:
    write(path.with_name("new"), text).replace(path)


def written_over(path: Path, text: str) -> None:
    with path.open("r+") as file:
        file.write(text)
    os.utime(path, ns=(1, 1))


def made_anew(path: Path, text: str) -> None:
    path.unlink()
    write(path, text)


def copied_over(path: Path, text: str) -> None:
    shutil.copy2(write(path.with_name("new"), text), path)


@pytest.mark.parametrize("replace", [moved_over, written_over, made_anew, copied_over])
def test_other_contents_of_the_same_size_and_time_are_other_contents(
    tmp_path: Path, reads: list[str], replace: Callable[[Path, str], None]
) -> None:
    path = write(tmp_path / "model.safetensors", "one")
    first = content_digest([path])
    assert content_digest([path]) == first and reads == ["model.safetensors"]
    size, time = path.stat().st_size, path.stat().st_mtime_ns
    replace(path, "two")
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (size, time)
    assert content_digest([path]) != first
    replace(path, "one")
    assert content_digest([path]) == first


@pytest.mark.parametrize("left", [b"", b"half"])
def test_a_damaged_memory_is_none(tmp_path: Path, reads: list[str], left: bytes) -> None:
    path = write(tmp_path / "model.safetensors", "aaa")
    first = content_digest([path])
    for known in (cache_folder() / "digests").iterdir():
        known.write_bytes(left)
    assert content_digest([path]) == first and len(reads) == 2


def test_links_stand_for_what_they_lead_to(tmp_path: Path, reads: list[str]) -> None:
    """As the snapshots of a model hub's cache: links to files named after their contents."""
    blobs = [write(tmp_path / name, name) for name in ("aaa", "bbb")]
    link = tmp_path / "model.safetensors"
    digests = []
    for blob in (*blobs, *blobs):
        link.unlink(missing_ok=True)
        link.symlink_to(blob)
        digests.append(content_digest([link]))
    assert digests[0] == digests[2] != digests[1] == digests[3] and len(reads) == 2


def test_nothing_is_remembered_where_the_time_of_change_may_be_made_up(
    tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packed file systems have one time for both, and one number for the same place in each."""
    path = write(tmp_path / "packed", "one")
    facts = {"st_dev": 1, "st_ino": 2, "st_size": 3, "st_mtime_ns": 1, "st_ctime_ns": 1}
    monkeypatch.setattr(content.os, "fstat", lambda number: SimpleNamespace(**facts))
    first = content_digest([path])
    assert content_digest([write(path, "two")]) != first and len(reads) == 2


def test_what_has_just_changed_is_not_remembered(
    tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "SETTLED", 3_600_000_000_000)
    path = write(tmp_path / "new", "one")
    content_digest([path])
    content_digest([path])
    assert len(reads) == 2


def test_names_and_borders_of_files_count(tmp_path: Path, reads: list[str]) -> None:
    def digest(**files: str) -> str:
        return content_digest([write(tmp_path / name, text) for name, text in files.items()])

    assert len({digest(a="12", b="3"), digest(a="1", b="23"), digest(a="12", c="3"), digest(a="123")}) == 4


def test_progress_is_told_over_all_files(tmp_path: Path) -> None:
    files, told = [write(tmp_path / name, name * 5) for name in ("one", "two")], []
    content_digest(files, lambda *step: told.append(step))
    assert told == [(15, 30), (30, 30)]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of all modules."""
    for package in sources.PACKAGES:
        shutil.copytree(cache.ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize("roots", [IMAGE, VERILOG], ids=["image", "verilog"])
def test_a_change_of_any_module_that_decides_is_another_digest(
    project: Path, monkeypatch: pytest.MonkeyPatch, roots: tuple[str, ...]
) -> None:
    def digest() -> str:
        sources.code_digest.cache_clear()
        return sources.code_digest(*roots)

    before, decide = digest(), sources.sources(*roots)
    for module in project.rglob("*.py"):
        if module not in decide.values():
            module.write_text("import nothing.at.all\n")
    assert digest() == before and len(decide) > 20
    monkeypatch.setattr(sources, "sources", lambda *roots: decide)
    for module in decide.values():
        text = module.read_bytes()
        module.write_bytes(text + b"# changed\n")
        assert digest() != before
        module.write_bytes(text)
    assert digest() == before


def test_what_decides_is_what_is_used() -> None:
    image, verilog = sources.sources(*IMAGE), sources.sources(*VERILOG)
    assert {
        "tritforge.golden.model.quantise",
        "tritforge.golden.ternary",
        "tritforge.golden.model.embedding",
        "tritforge.golden.checkpoints.config",
        "tritforge.host.image.layout",
    } <= image.keys()
    assert {
        "tritforge.golden.model.tables",
        "tritforge.golden.model.formats",
        "tritforge.hw.control.sequencer",
        "tritforge.rtl_gen.verilog.polish",
    } <= verilog.keys()
    for unused in (
        "tritforge.golden.train.loop",
        "tritforge.golden.model.integer",
        "tritforge.golden.model.numerics",
        "tritforge.host.cli.app",
        "tritforge.perf.estimates.power",
    ):
        assert unused not in image and unused not in verilog
    assert "tritforge.hw.core" not in image and "tritforge.host.image.pack" not in verilog


def test_imports_of_every_form_count_and_others_do_not(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = project / "golden"
    (package / "root.py").write_text(
        "import os, numpy\nimport tritforge.golden.one\nfrom tritforge.golden import two as other, TritforgeError\n"
        "from tritforge.golden.three import anything\nif TYPE_CHECKING:\n    from tritforge.golden import four\n"
        "def later():\n    import tritforge.golden.five\n"
    )
    for name in ("one", "two", "three", "four", "five", "six"):
        (package / f"{name}.py").write_text("import tritforge.golden.six\n" if name == "five" else "")
    found = sources.sources("tritforge.golden.root")
    package = "tritforge.golden"
    assert list(found) == [package, *(f"{package}.{name}" for name in ("five", "one", "root", "six", "three", "two"))]
