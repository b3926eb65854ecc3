# SPDX-License-Identifier: Apache-2.0
"""The core that runs a model, and how many of them, where a user names them in part."""

from collections.abc import Mapping
from contextlib import suppress

from tritforge.golden import TritforgeError
from tritforge.host.image.image import Image
from tritforge.host.run.driver import MisfitError, misfit
from tritforge.hw.params import PRESETS, CoreParams

DEFAULT_PRESET = "edge"


def cores_of(image: Image, asked: int | None) -> int:
    """The linked cores that run an image, 0 for one without a link; MisfitError where it is for others than asked."""
    if asked is None:
        return image.cores if image.cores > 1 else 0
    if image.cores == max(asked, 1):
        return asked
    count = f"{image.cores} linked cores" if image.cores > 1 else "one core"
    option = f"with --cores {asked}" if asked > 1 else "without --cores"
    raise MisfitError(f"{image.path} is packed for {count}, not {max(asked, 1)}; pack the checkpoint {option}.")


def core(base: CoreParams, settings: Mapping[str, str], linked: bool) -> CoreParams:
    """A core with settings applied; where it must have a link and nothing says how wide, a beat takes a message."""
    params = base.override(settings)
    if params.linked and not linked:
        raise TritforgeError("link_bytes is the width of a link between cores that share a model; give --cores too.")
    if not linked:
        return params
    from tritforge.hw.link.message import with_link

    return with_link(params)


def fitting_preset(image: Image, settings: Mapping[str, str], linked: bool = False) -> CoreParams:
    """The default preset if the image fits it, else the first that it fits, with the settings applied.

    Where none fits with the settings, one that fits without them, so that what does not fit is what was set.
    """
    names = sorted(PRESETS, key=lambda name: name != DEFAULT_PRESET)
    for applied in (settings, {}):
        for name in names:
            with suppress(TritforgeError):
                if misfit(core(PRESETS[name], applied, linked), image) is None:
                    return core(PRESETS[name], settings, linked)
    default = core(PRESETS[DEFAULT_PRESET], settings, linked)
    if settings:
        return default
    reason = misfit(default, image)
    raise MisfitError(f"No preset fits {image.path} ({reason}) Give --preset and --set.")
