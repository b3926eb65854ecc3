# SPDX-License-Identifier: Apache-2.0
"""All integers of a model, compared."""

import numpy as np

from tritforge.golden.model.source import IntegerSource


def assert_same(image: IntegerSource, source: IntegerSource) -> None:
    """Every integer of every layer is equal."""

    def flat(source: IntegerSource) -> list:
        layers = [source.layer(n) for n in range(source.config.layers)]
        norms = [(f"{n}.{key}", norm) for n, layer in enumerate(layers) for key, norm in layer.norms.items()]
        norms.append(("head", source.head().norm))
        weights = [(f"{n}.{key}", m) for n, layer in enumerate(layers) for key, m in layer.matrices.items()]
        weights.append(("head", source.head().matrix))
        values = [(f"{n}.omega", layer.omega) for n, layer in enumerate(layers)]
        for name, norm in norms:
            values.append((f"{name}.stat", np.zeros(0) if norm.stat is None else norm.stat))
            values += [(f"{name}.gain{k}", gain) for k, gain in enumerate(norm.gains)]
            values.append((f"{name}.constants", np.array([norm.kappa, norm.bias])))
        for name, matrix in weights:
            values.append((f"{name}.trits", matrix.trits))
            values.append((f"{name}.scale", np.array([matrix.mantissa, matrix.exponent])))
        ids = np.arange(source.config.vocab)
        return sorted([*values, ("embedding", source.embedding.rows(ids))], key=lambda item: item[0])

    for (name, has), (wanted, wants) in zip(flat(image), flat(source), strict=True):
        assert name == wanted
        assert has.dtype == wants.dtype and np.array_equal(has, wants), name
