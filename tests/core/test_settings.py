"""Settings are read in one place: scalars of any library pass, and what is no setting is refused by name."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import core, lowrank, prune, quant, share
from compressjax.core._settings import as_int, as_number
from compressjax.interpret import merge, observe

PARAMS = {"kernel": jnp.arange(16.0).reshape(4, 4) - 7}


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        (lambda: quant.rtn(np.int64(4), granularity=jnp.int32(2)), lambda: quant.rtn(4, granularity=2)),
        (lambda: lowrank.svd(rank=np.float32(0.25)), lambda: lowrank.svd(rank=0.25)),
        (lambda: lowrank.svd(rank=np.int32(1)), lambda: lowrank.svd(rank=1)),
        (lambda: prune.magnitude(jnp.float32(0.5)), lambda: prune.magnitude(0.5)),
        (lambda: share.kmeans(jnp.int32(2)), lambda: share.kmeans(2)),
    ],
)
def test_scalars_of_numpy_and_jax(given: Callable[[], Any], plain: Callable[[], Any]) -> None:
    one, two = (core.materialize(core.compress(PARAMS, {".*": make()}))["kernel"] for make in (given, plain))
    np.testing.assert_array_equal(one, two)


def test_numbers() -> None:
    assert (as_number("x", "y", np.int8(3)), as_number("x", "y", 0.5), as_int("x", "y", jnp.uint8(3))) == (3, 0.5, 3)
    assert isinstance(as_number("x", "y", np.int8(3)), int)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: quant.rtn("8"), "rtn: bits is a str '8'; it must be an integer"),
        (lambda: quant.rtn(True), "bits is a bool True"),
        (lambda: prune.magnitude("0.5"), "sparsity is a str '0.5'; it must be a number"),
        (lambda: lowrank.svd(rank="4"), "svd: rank is a str '4'"),
        (lambda: core.chain(prune.magnitude(0.5), quant.rtn), "chain: the function rtn is not a compression; call it"),
        (lambda: core.chain(optax.adam(0.1)), "optimizers go to as_optax"),
        (lambda: core.sequence(optax.adam(0.1), quant.rtn(4)), "sequence.*optimizers go to as_optax"),
        (lambda: core.compress(PARAMS, {".*": quant.rtn}), "the function rtn is not a compression"),
        (lambda: core.compress(PARAMS, {5: quant.rtn(4)}), "selector 5 is no selector"),
        (lambda: core.as_optax(optax.sgd(0.1), quant.rtn(4)), r"the order is as_optax\(compression, optimizer\)"),
        (lambda: core.compress({"a": 3, "b": "x", "c": None}, {".*": quant.rtn(4)}), r"a \(int\)"),
        (lambda: quant.rtn(4).init({"a": jnp.arange(3)}), r"a \(int32\)"),
        (lambda: merge(1, 2), "merge: got int and int"),
    ],
)
def test_what_is_no_setting(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_gradients_of_another_shape() -> None:
    tx = core.as_optax(prune.magnitude(0.5), optax.sgd(0.1))
    state = tx.init(PARAMS)
    with pytest.raises(ValueError, match=r"gradient of 'kernel' has shape \(2,\), but the leaf has \(4, 4\)"):
        tx.update({"kernel": jnp.ones(2)}, state, PARAMS)
    with pytest.raises(ValueError, match=r"not have the same values: \['bias', 'kernel'\]"):
        tx.update({"bias": jnp.ones(2)}, state, PARAMS)


def test_the_whole_result_of_observe() -> None:
    seen = observe(lambda p, x: x @ p["kernel"])(PARAMS, jnp.ones((2, 4)))
    with pytest.raises(ValueError, match=r"stats is a tuple.*pass the second"):
        core.compress(PARAMS, {".*": quant.rtn(8, activation="static")}, seen)
    both = merge(seen[1], {**seen[1], "other": seen[1]["kernel"]})
    assert both["kernel"].count == 2 * seen[1]["kernel"].count
    assert both["other"].count == seen[1]["kernel"].count
