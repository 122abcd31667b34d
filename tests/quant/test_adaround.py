"""AdaRound regains what round to nearest loses, on correlated inputs, and keeps zeros."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, prune, quant
from compressjax.interpret import observe
from compressjax.interpret.observing._statistics import of_rows
from tests import helpers
from tests.prune.layers import correlated, error
from tests.quant.test_gptq import rounded


@pytest.mark.turns(2)
@pytest.mark.parametrize("seed", range(3))
def test_at_3_bits_it_regains_more_than_half_of_the_loss(seed):
    x, params = correlated(seed)
    stats = observe(lambda p, x: x @ p["kernel"])(params, x)[1]
    plain = rounded(quant.rtn(3), params, None)
    node = rounded(quant.adaround(3), params, stats)
    assert error(node, params, x) < 0.5 * error(plain, params, x)
    np.testing.assert_array_equal(node.scale, plain.scale)
    steps = np.abs(np.asarray(node.dense_codes(), int) - np.asarray(plain.dense_codes(), int))
    assert steps.max() == 1
    # Both parts of the search lower the error.
    alone = error(rounded(quant.adaround(3, passes=0), params, stats), params, x)
    assert error(node, params, x) < alone < error(plain, params, x)


@pytest.mark.thorough
def test_with_unrelated_inputs_it_is_round_to_nearest():
    params = {"kernel": helpers.array(0, (8, 6))}
    stats = {"kernel": of_rows(jnp.eye(8), gram=True)}
    for settings in ({"granularity": 4}, {"symmetric": False}):
        got = rounded(quant.adaround(3, steps=10, **settings), params, stats)
        assert not helpers.difference(got, rounded(quant.rtn(3, **settings), params, None))


@pytest.mark.thorough
def test_zeros_stay_zero_under_a_mask_and_stacks_are_solved_by_layer():
    params = {"kernel": helpers.array(0, (2, 8, 6))}
    x = helpers.array(1, (20, 2, 8)) @ (jnp.eye(8) + 1)
    stats = observe(lambda p, x: jnp.einsum("nli,lio->nlo", x, p["kernel"]))(params, x)[1]
    node = rounded(core.sequence(prune.magnitude(0.5), quant.adaround(4, steps=50)), params, stats)
    assert (np.asarray(node.value.materialize())[~np.asarray(node.mask)] == 0).all()
    both = rounded(quant.adaround(3, steps=50), params, stats)
    wrong = np.asarray(both.materialize() - params["kernel"])
    plain = np.asarray(rounded(quant.rtn(3), params, stats).materialize() - params["kernel"])
    loss = lambda d: np.sum(np.einsum("nli,lio->nlo", np.asarray(x), d) ** 2, axis=(0, 2))  # noqa: E731
    assert (loss(wrong) < 0.5 * loss(plain)).all()


def test_bad_settings():
    for settings in ({"steps": 5}, {"learning_rate": 0.0}, {"penalty": -1.0}, {"passes": -1}):
        with pytest.raises(ValueError, match="adaround: "):
            quant.adaround(4, **settings)
    x, params = correlated(0, inputs=8, outputs=6)
    with pytest.raises(ValueError, match="Gram matrix of the inputs of 'kernel'"):
        rounded(quant.adaround(4), params, {"kernel": of_rows(x, gram=False)})
