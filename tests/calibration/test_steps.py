"""Steps group leaves of one source, in the order of their products."""

import jax.numpy as jnp
import pytest

from compressjax.calibration._steps import alike, steps
from compressjax.calibration._survey import survey
from compressjax.calibration._watch import Taken
from tests.calibration import toys


def block():
    params = toys.block_params()
    found = survey(toys.block, params, [(toys.normal(0, 2, 5, 8),)], dict.fromkeys(params, Taken(gram=True)))
    return params, {path: path for path in params}, found.lines


def test_order_of_first_products():
    params, owner, lines = block()
    assert steps(params, owner, lines, None, ()) == [("q", "k", "v"), ("o",), ("up",), ("down",)]
    assert steps(params, owner, lines, ["down", "o"], ["up|o"]) == [("down",), ("o", "up"), ("q", "k", "v")]
    assert alike(("q", "k", "v", "o"), owner, lines) == [["q", "k", "v"], ["o"]]


def test_what_matches_nothing():
    params, owner, lines = block()
    with pytest.raises(ValueError, match="together='z' matches no leaf"):
        steps(params, owner, lines, None, ["z"])


def test_leaves_without_products_stand_where_they_are_read():
    params = {"table": jnp.ones((5, 4)), "a": jnp.ones((4, 2)), "never": jnp.ones((2, 2))}
    batches = [(jnp.array([1]), jnp.ones((1, 4)))]
    found = survey(
        lambda p, i, x: (x + p["table"][i]) @ p["a"], params, batches, dict.fromkeys(params, Taken(gram=True))
    )
    owner = {path: path for path in params}
    assert steps(params, owner, found.lines, None, ()) == [("table",), ("a",), ("never",)]
    assert alike(("table", "never"), owner, found.lines) == [["table"], ["never"]]
