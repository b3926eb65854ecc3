# SPDX-License-Identifier: Apache-2.0
"""Where the program begins: an interruption is taken care of before anything is imported."""

import sys


def main() -> None:
    """Run the command line."""
    try:
        from tritforge.host.cli.app import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
