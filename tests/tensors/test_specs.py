"""Nodes sharded over devices, against slices of the dense tensor."""

import itertools
import math
from typing import Any

import jax
import numpy as np
import pytest

from compressjax import core
from compressjax.core import Dense, ops
from compressjax.core.ops import Spec
from tests import helpers
from tests.interpret import samples

SIZES = {"d": 2, "m": 2}
SPECS = [Spec(), Spec("d"), Spec(None, "d"), Spec("d", "m"), Spec(("d", "m")), Spec(None, ("m", "d"))]


def part(x: Any, spec: Any, at: dict[str, int]) -> np.ndarray:
    """One device's share of an array."""
    window = []
    for length, entry in itertools.zip_longest(x.shape, spec):
        names = entry if isinstance(entry, tuple) else (entry,) if entry else ()
        index, count = 0, math.prod(SIZES[n] for n in names)
        for name in names:
            index = index * SIZES[name] + at[name]
        share = length // count
        assert share * count == length
        window.append(slice(index * share, (index + 1) * share))
    return np.asarray(x)[tuple(window)]


@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize("shape", [(8, 4), (4, 4, 8)])
def test_shares_of_every_node_are_shares_of_the_tensor(shape: tuple[int, ...], spec: Spec) -> None:
    refused = set()
    for name, node in {**samples.zoo(shape), **samples.active(shape)}.items():
        specs = ops.specs(node, spec, SIZES)
        if isinstance(specs, Dense):
            refused.add(name)
            continue
        dense = helpers.brute(node)
        for d, m in itertools.product(range(2), range(2)):
            at = {"d": d, "m": m}
            mine = jax.tree.map(lambda x, s, at=at: part(x, s, at), node, specs)
            assert isinstance(mine, core.Node)
            samples.assert_close(helpers.brute(mine), part(dense, spec, at), f"{name} {spec}", 1e-6)
    assert refused <= {"grid, groups", "grid, affine groups"}
    assert not refused or spec[0] == ("d", "m")


def test_arrays_get_the_whole_spec() -> None:
    assert ops.specs(np.zeros((2, 3)), Spec("d"), SIZES) == Spec("d", None)


def test_groups_that_would_lie_on_two_devices_are_refused() -> None:
    node = samples.grid(samples.rng(), (6, 4), (3, 4))
    refused = ops.specs(node, Spec("d"), SIZES)
    assert isinstance(refused, Dense)
    assert "group" in refused.reason
