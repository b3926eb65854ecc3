# SPDX-License-Identifier: Apache-2.0
"""Runs cocotb test modules on a component or on Verilog, compiled once for each distinct Verilog."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from amaranth.lib import wiring
from cocotb_tools import config
from cocotb_tools.runner import Verilator

from tritforge.golden import Failure
from tritforge.golden.files import make_folder
from tritforge.rtl_gen.cache.folder import cache_folder
from tritforge.rtl_gen.tools.build import Status, build_failure, cached_build, say
from tritforge.rtl_gen.tools.runtime import Runtime
from tritforge.rtl_gen.tools.toolchain import spaceless, together, toolchain_env, verilator, workplace
from tritforge.rtl_gen.verilog.emit import emit_verilog

# Names a file, because a trace of inputs is too long for the environment itself.
_PARAMETERS = "TRITFORGE_TEST_PARAMETERS"
_BENCHES = "tb_*.py cocotb_*.py"
"""Files whose assertions tell their values; else cocotb has every module parsed for it, torch's too, and each time
anew where Python keeps no bytecode (findings/cocotb_rewrites_everything.sh)."""
_BUILD_ARGS = ("-O3", "--x-assign", "fast", "--x-initial", "fast", "--noassert", "--timescale", "1ns/1ps")
_MAKE = ("OPT_FAST=-O0",)
"""Python takes nearly all of the time of such a simulation; the compiler need not make the model faster."""
_RUNTIME = Runtime("cocotb", _BUILD_ARGS, ("verilated.o", "verilated_threads.o", "verilated_vpi.o"))


class CocotbFailure(Failure):
    """A cocotb test failed, or there was none to run."""


def run_cocotb(
    design: wiring.Component | Sequence[Path],
    top: str,
    test_module: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    testcase: str | None = None,
    seed: int = 1,
    build_args: Sequence[str] = (),
    plusargs: Sequence[str] = (),
    status: Status | None = None,
) -> list[str]:
    """Run the tests of a module in a simulation of a design.

    Parameters
    ----------
    design
        A component to emit, or its Verilog files.
    top
        Name of the top module.
    test_module
        Importable name of the Python module with the ``@cocotb.test`` functions.
    parameters
        What `test_parameters` returns in the simulation; anything JSON can carry.
    testcase
        Run only the test of this name.
    seed
        Of Python's ``random`` and of cocotb.
    build_args, plusargs
        More options for Verilator, and for the program it makes.
    status
        Called with a line before a build.

    Returns
    -------
    list of str
        Names of the tests that ran and passed.

    Raises
    ------
    CocotbFailure
        If a test failed or none ran; says which, where the log is and how it ends.
    rtl_gen.tools.build.BuildError
        If the Verilog does not compile.
    """
    with _verilog(design, top) as files:
        build_dir = _build(files, top, (*_BUILD_ARGS, *build_args), status)
    runs = cache_folder() / "cocotb-runs"
    make_folder(runs)
    run_dir = Path(tempfile.mkdtemp(prefix=f"{top}-", dir=runs))
    runner, results, parameter_file = _Runner(), run_dir / "results.xml", run_dir / "parameters.json"
    parameter_file.write_text(json.dumps(dict(parameters or {})))
    try:
        with suppress(SystemExit):  # The results, or their absence, say more.
            runner.test(
                test_module,
                hdl_toplevel=top,
                hdl_toplevel_lang="verilog",
                testcase=testcase,
                seed=seed,
                plusargs=list(plusargs),
                extra_env={_PARAMETERS: str(parameter_file), "COCOTB_REWRITE_ASSERTION_FILES": _BENCHES},
                build_dir=build_dir,
                test_dir=run_dir,
                results_xml=str(results),
                log_file=run_dir / "log.txt",
            )
    except KeyboardInterrupt:
        shutil.rmtree(run_dir, ignore_errors=True)
        raise
    names = _passed(results, test_module)
    shutil.rmtree(run_dir)
    return names


def test_parameters() -> dict[str, Any]:
    """The parameters given to `run_cocotb`, inside the simulation."""
    parameters: dict[str, Any] = json.loads(Path(os.environ[_PARAMETERS]).read_text())
    return parameters


test_parameters.__test__ = False  # type: ignore[attr-defined] # tells pytest that it is none


class _Runner(Verilator):
    """cocotb's Verilator runner with this project's tools, and only the top's ports visible: far faster."""

    def _set_env_common(self) -> None:
        super()._set_env_common()
        self.env = toolchain_env({**os.environ, **self.env})

    def _set_env_test(self) -> None:
        super()._set_env_test()
        found = (str(config.libs_dir), self.env.get("LD_LIBRARY_PATH"))
        self.env["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, found))

    def _simulator_in_path_build_only(self) -> None:
        self.executable = verilator()

    def _build_command(self) -> list[list[str]]:
        verilate, make = super()._build_command()
        index = verilate.index("--public-flat-rw")
        verilate = [*verilate[:index], "--public-depth", "1", *verilate[index + 1 :]]
        # without the path to the library: another environment may run the program, and this one be gone
        verilate[verilate.index("-LDFLAGS") + 1] = f"-L{spaceless(config.libs_dir)} -lcocotbvpi_verilator"
        verilate, make = ([_spaceless(word) for word in command] for command in (verilate, make))
        main = next(Path(word) for word in verilate if word.endswith(".cpp"))
        return [verilate, [*make, *_MAKE, *together(main), *_RUNTIME.copy(Path(self.build_dir))]]


def _spaceless(word: str) -> str:
    return str(spaceless(Path(word))) if word.startswith("/") else word


@contextmanager
def _verilog(design: wiring.Component | Sequence[Path], top: str) -> Iterator[list[Path]]:
    if isinstance(design, wiring.Component):
        with tempfile.TemporaryDirectory() as folder:
            yield emit_verilog(design, top, folder)
    else:
        yield list(design)


def _build(files: list[Path], top: str, build_args: Sequence[str], status: Status | None) -> Path:
    with cached_build("cocotb", top, (*build_args, *_MAKE), files) as folder:
        if folder.fresh:
            say(status, f"Compiling the test bench of {top}, once")
            with workplace(folder.path) as place:
                log = place / "build.log"
                try:
                    _Runner().build(
                        sources=files,
                        hdl_toplevel=top,
                        build_args=build_args,
                        build_dir=place,
                        log_file=log,
                    )
                except Exception as error:
                    said = log.read_text() if log.exists() else ""
                    raise build_failure(f"The test bench of '{top}' does not compile: {error}", said) from error
                _RUNTIME.keep(place)
    return folder.final


def _passed(results: Path, test_module: str) -> list[str]:
    log = results.with_name("log.txt")
    cases = list(ElementTree.parse(results).getroot().iter("testcase")) if results.exists() else []
    failed = [
        case.get("name", "") for case in cases if case.find("failure") is not None or case.find("error") is not None
    ]
    ran = [case.get("name", "") for case in cases if case.find("skipped") is None]
    if failed:
        problem = f"These cocotb tests of '{test_module}' failed: {', '.join(failed)}"
    elif not ran:
        problem = f"No cocotb test of '{test_module}' ran"
    else:
        return ran
    tail = "\n".join(log.read_text().splitlines()[-60:]) if log.exists() else ""
    raise CocotbFailure(f"{problem}; the log is {log}\n{tail}")
