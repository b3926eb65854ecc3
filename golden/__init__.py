# SPDX-License-Identifier: Apache-2.0
"""Golden models: checkpoints, the float32 reference, the integer model, training and text."""


class TritforgeError(Exception):
    """What a user gave cannot be used; the message is one sentence that names it and the remedy.

    Errors of every package derive from it, so that a command can tell them from bugs.

    Attributes
    ----------
    status
        With which the command line exits.
    """

    status = 2


class Failure(TritforgeError):
    """Something else than the input failed: a tool, a core, a comparison."""

    status = 1
