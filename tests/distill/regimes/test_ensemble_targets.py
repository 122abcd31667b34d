"""The targets of an ensemble against means that NumPy takes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from compressjax import distill


@pytest.fixture
def logits(key: jax.Array) -> list[jax.Array]:
    return list(3 * jax.random.normal(key, (3, 4, 5)))


def test_mean_of_probabilities_at_a_temperature(logits: list[jax.Array]) -> None:
    got = distill.ensemble_targets(logits, temperature=4.0, weights=[1, 2, 1])
    soft = [scipy.special.softmax(np.asarray(z, np.float64) / 4, axis=-1) for z in logits]
    np.testing.assert_allclose(distill.soft_targets(got, 4.0), np.average(soft, 0, [1, 2, 1]), rtol=1e-5)


def test_mean_of_logits_is_a_geometric_mean(logits: list[jax.Array]) -> None:
    got = distill.soft_targets(distill.ensemble_targets(logits, mean="logits"), 1.0)
    product = np.prod([scipy.special.softmax(np.asarray(z, np.float64), axis=-1) for z in logits], axis=0) ** (1 / 3)
    np.testing.assert_allclose(got, product / product.sum(-1, keepdims=True), rtol=1e-5)


@pytest.mark.parametrize("mean", ["probabilities", "logits"])
def test_weights_may_differ_by_example_and_a_weight_of_zero_hides_anything(logits: list[jax.Array], mean: str) -> None:
    weights = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1]], np.float32)
    spoiled = [jnp.where(w[:, None] > 0, z, jnp.nan) for w, z in zip(weights, logits, strict=True)]
    got = distill.ensemble_targets(spoiled, mean=mean, weights=weights)
    picked = jnp.stack([logits[0][0], logits[1][1], logits[2][2], logits[2][3]])
    np.testing.assert_allclose(jax.nn.softmax(got), jax.nn.softmax(picked), rtol=1e-5)


def test_one_teacher_stays_itself_and_gets_no_gradient(logits: list[jax.Array]) -> None:
    got, slope = jax.value_and_grad(lambda z: distill.ensemble_targets([z]).sum())(logits[0])
    assert np.isfinite(got)
    assert not np.any(slope)
    np.testing.assert_allclose(distill.ensemble_targets(logits[:1], mean="logits"), logits[0], rtol=1e-6)


def test_bad_arguments(logits: list[jax.Array]) -> None:
    with pytest.raises(ValueError, match="one or more teachers"):
        distill.ensemble_targets([])
    with pytest.raises(ValueError, match="mean='median'"):
        distill.ensemble_targets(logits, mean="median")
    with pytest.raises(ValueError, match=r"weights \(2,\)"):
        distill.ensemble_targets(logits, weights=[1, 2])
    for weights, match in (
        ([0, 0, 0], "all weights are 0; give"), ([1, -2, 0], "weights has -2; weights are finite"),
        ([1, np.nan, 0], "weights has nan"), (np.eye(3, 4), r"all weights are 0 for example \(3,\)"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=match):
            distill.ensemble_targets(logits, weights=weights)
