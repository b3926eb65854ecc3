# SPDX-License-Identifier: Apache-2.0
"""What a host needs beside the image, at the largest published size."""

import json
import subprocess
import sys

LIMIT = 200
"""MB beside the mapped image, all that the process takes included."""


def test_generating_at_full_size_takes_little_beside_the_image() -> None:
    command = [sys.executable, "-m", "host.memory", "2.7B", "--tokens", "2", "--json"]
    facts = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    assert facts["image"] > 3 * LIMIT * 1e6 and facts["read"] > 2 * 500e6
    assert 10 < facts["MB"]["before"]["peak"] < facts["MB"]["after"]["peak"] < LIMIT
