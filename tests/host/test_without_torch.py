# SPDX-License-Identifier: Apache-2.0
"""What needs no PyTorch runs where there is none: Verilog, images, estimates, the driver on a simulated core."""

import subprocess
import sys
from pathlib import Path

from tests.checkpoints import random_checkpoint

ROOT = Path(__file__).parents[2]
WITHOUT = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")

sys.meta_path.insert(0, Blocked())
from tritforge.host.cli.app import app

for command in sys.stdin.read().splitlines():
    try:
        app(command.split("\\t"))
    except SystemExit as end:
        if end.code:
            sys.exit(f"{end.code}: {command}")
"""


def without_torch(*commands: str) -> subprocess.CompletedProcess[str]:
    """Run commands in one process that cannot import PyTorch; words of a command are parted by spaces."""
    lines = "\n".join("\t".join(command.split()) for command in commands)
    return subprocess.run([sys.executable, "-c", WITHOUT], input=lines, cwd=ROOT, capture_output=True, text=True)


def test_a_command_that_needs_torch_says_the_remedy_and_explains_itself_without(tmp_path: Path) -> None:
    model = random_checkpoint(tmp_path / "model")
    needing = {
        "train model": f"train model --corpus a --val b -o {tmp_path / 'out'} --steps 1",
        "train calibrate": f"train calibrate {model} --text a -o {tmp_path / 'out'}",
        "train dream": f"train dream --teacher {model} -o {tmp_path / 'out'}",
        "measure errors": "measure errors",
        "measure rows": f"measure rows {model}",
        "eval": f"eval {model} --text a",
    }
    for name, command in needing.items():
        done = without_torch(f"{name} --help", command)
        assert "Example: " in done.stdout and done.stderr.startswith("Error: This needs PyTorch"), done.stderr
        assert "pip install 'tritforge[torch]'" in done.stderr and f"2: {command.split()[0]}" in done.stderr


def test_images_verilog_estimates_and_the_driver_need_no_torch(tmp_path: Path) -> None:
    model, image = random_checkpoint(tmp_path / "model"), tmp_path / "model.tfi"
    done = without_torch(
        f"pack {model} -o {image} --preset tiny",
        f"info {image}",
        f"verilog --preset tiny --bundle -o {tmp_path / 'verilog'}",
        "estimate 370M --preset edge --platform ecp5-85f",
        "project 1.3B --preset wide --platform u280 --cores 1..2",
        f"report -o {tmp_path / 'report.html'}",
        f"ternarise {model} -o {tmp_path / 'ternary'}",
        "measure size 370M",
        "codes 370M",
        f"generate {image} --prompt a --max-new-tokens 2 --backend rtl --preset tiny",
    )
    assert done.returncode == 0, done.stderr
    assert image.is_file() and (tmp_path / "report.html").is_file()
