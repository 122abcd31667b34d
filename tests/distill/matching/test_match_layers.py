"""Pairs of layers against brute force."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import distill
from compressjax.distill.matching._match_layers import _best


def test_order_is_kept_exactly(draw: np.random.Generator) -> None:
    for rows, columns in [(1, 1), (2, 5), (4, 4), (3, 6)]:
        gains = draw.uniform(size=(rows, columns))
        want = max(itertools.combinations(range(columns), rows), key=lambda c: sum(gains[range(rows), c]))
        assert _best(gains) == list(want)


def test_layers_find_their_origin(key: jax.Array) -> None:
    layers = {f"t{i}": jax.random.normal(k, (9, 4)) for i, k in enumerate(jax.random.split(key, 5))}
    student = {"a": 3 * layers["t1"][:, ::-1] + 1, "b": layers["t2"].reshape(9, 2, 2), "c": -layers["t4"]}
    assert distill.match_layers(student, layers) == {"a": "t1", "b": "t2", "c": "t4"}


def test_even() -> None:
    twelve = [str(i) for i in range(1, 13)]
    assert distill.even_layers("abcd", twelve) == {"a": "3", "b": "6", "c": "9", "d": "12"}  # TinyBERT's g(i) = 3 i
    assert list(distill.even_layers("abcde", twelve[:7]).values()) == ["2", "3", "5", "6", "7"]


def test_bad_arguments() -> None:
    x = {"a": jnp.ones((3, 2)), "b": jnp.ones((3, 2))}
    with pytest.raises(ValueError, match="match_layers: 2 layers of the student and 1 of the teacher"):
        distill.match_layers(x, {"a": x["a"]})
    with pytest.raises(ValueError, match="even_layers: 0 layers"):
        distill.even_layers([], ["a"])
    for lost in (np.nan, np.inf):
        with pytest.raises(ValueError, match="layer 'b' of the teacher has NaN or infinity"):
            distill.match_layers(x, {**x, "b": x["b"].at[0, 1].set(lost)})
    with pytest.raises(ValueError, match="over the same 2 or more"):
        distill.match_layers(x, {"a": jnp.ones((4, 2)), "b": jnp.ones((4, 2))})
