"""What students of the studies read: packed labels, shifted views, gaps."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import distill
from experiments.reproduce.loop import Data, train
from experiments.reproduce.taught import gap_closed, shifted, soft_loss, with_logits


def test_the_loss_reads_logits_and_labels_side_by_side(key: jax.Array) -> None:
    kernel, x, logits = jax.random.normal(key, (3, 6, 6))
    y = jnp.array([0, 5, 2, 2, 1, 4])
    data = with_logits(Data(x, y, x, y), logits)
    got = soft_loss(lambda p, x: x @ p, 4.0, 0.9)(kernel, x, data.train_labels)
    want = distill.soft_target_loss(x @ kernel, logits, y, temperature=4.0, alpha=0.9)
    np.testing.assert_allclose(got, want, rtol=1e-6)
    np.testing.assert_array_equal(data.test_labels, y)


def test_every_step_has_a_view_of_its_own_and_the_seed_says_which() -> None:
    images = jnp.broadcast_to(jnp.arange(36, dtype=jnp.uint8).reshape(6, 6, 1), (4, 6, 6, 1))
    view = shifted(3, 2)
    assert shifted(3, 0) is None
    np.testing.assert_array_equal(view(7, images), shifted(3, 2)(7, images))
    assert np.any(view(7, images) != view(8, images))
    assert np.any(view(7, images) != shifted(4, 2)(7, images))


@pytest.mark.parametrize("scan", [True, False])
def test_training_shows_the_view_of_the_step_to_the_loss(scan: bool) -> None:
    """A loss of slope x, and a view that is the number of the step: plain gradient descent adds the numbers up."""
    x, y = jnp.ones((4, 1)), jnp.zeros(4, int)
    settings = {"steps": 6, "chunk": 3, "batch": 2, "learning_rate": 1.0, "cosine": False, "scan": scan,
                "momentum": 1e-9, "weight_decay": 0.0}  # fmt: skip
    done = train(
        lambda p, x: x * p, jnp.zeros(()), Data(x, y, x, y), settings, seed=0,
        loss=lambda p, seen, _: p * jnp.mean(seen), view=lambda step, x: x * step,
    )  # fmt: skip
    assert float(done.params) == pytest.approx(-sum(range(6)), rel=1e-5)
    assert optax.__version__


def test_gap() -> None:
    assert gap_closed(2.0, 4.0, 3.5) == {"gap closed, %": 25.0}
    assert gap_closed(2.0, 2.0, 3.0) == {}
