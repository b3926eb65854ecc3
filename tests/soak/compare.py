# SPDX-License-Identifier: Apache-2.0
"""Runs what was drawn and compares every bit with the golden integer model."""

import tempfile
from pathlib import Path

import numpy as np
import torch

from tests.cores import packed_checkpoint
from tests.hw.test_core import assert_exact
from tests.soak.draw import CHANGES, Text, Trial
from tritforge.golden.checkpoints.reader import Checkpoint, write_checkpoint
from tritforge.golden.checkpoints.synthetic import write_random_checkpoint
from tritforge.golden.model.integer import IntegerModel
from tritforge.host.image.decode import DecodedImage
from tritforge.host.image.image import Image
from tritforge.host.measure.cosim import compare
from tritforge.host.run.backends import CoreBackend
from tritforge.host.run.golden_backends import Cached
from tritforge.hw.packet import Context
from tritforge.sim.ring.feed import Links
from tritforge.sim.ring.simulator import SimRing
from tritforge.sim.simulator import SimTransport


def transport_of(trial: Trial) -> SimTransport | SimRing:
    """The simulated core, or the ring."""
    if trial.params.linked:
        return SimRing(trial.params, trial.cores, stall=trial.stall, links=Links(trial.latency, trial.stall / 2))
    return SimTransport(trial.params, stall=trial.stall)


def image_of(text: Text, trial: Trial, folder: Path) -> Image:
    """The model, packed."""
    source = folder / "random"
    write_random_checkpoint(source, text.config, text.seed)
    if change := CHANGES[text.change]:
        checkpoint = Checkpoint(source)
        tensors = change({name: checkpoint.tensor(name) for name in checkpoint.names()})
        source = folder / "changed"
        write_checkpoint(source, text.config, tensors)
    return packed_checkpoint(trial.params, source, folder / "image", trial.cores)


def is_exact(trial: Trial) -> tuple[int, int]:
    """Run a trial; tokens and cycles of it. AssertionError or CompareError for a difference."""
    tokens = 0
    with transport_of(trial) as transport:
        for text in trial.texts:
            with tempfile.TemporaryDirectory() as folder:
                image = image_of(text, trial, Path(folder))
                chance = np.random.default_rng(text.seed)
                backend = CoreBackend(transport, image)
                assert_exact(backend, image, chance.integers(image.shape.vocab, size=text.tokens))
                tokens += text.tokens
                if trial.params.batch > 1:
                    tokens += sequences_are_exact(backend, image, chance)
        return tokens, transport.cycles


def sequences_are_exact(backend: CoreBackend, image: Image, chance: np.random.Generator) -> int:
    """A sequence in each slot, in packets of several; how many tokens."""
    driver, slots = backend.driver, range(backend.driver.params.batch)
    ids = chance.integers(image.shape.vocab, size=(len(slots), 2))
    found = [driver.step([Context(int(ids[s, at]), s, zero=not at, logits=True) for s in slots]) for at in (0, 1)]
    model = IntegerModel(Cached(DecodedImage(image)), activations=driver.activations)
    for slot in slots:
        expected, state = model.forward(torch.from_numpy(ids[slot]))
        for at in (0, 1):
            one = found[at][slot]
            compare(f"logits of slot {slot}", one.logits, expected.raw[at].numpy())
            assert one.token == int(expected.raw[at].argmax()), f"token of slot {slot}"
        compare(f"state of slot {slot}", driver.read_state(slot), state.numpy())
    return ids.size
