"""Losses on features keep the laws of all losses."""

import jax
import jax.numpy as jnp
import pytest

from compressjax import distill
from tests.distill.laws import Row, check

KEY = jax.random.key(7)
WIDE, NARROW = (4, 6), (4, 5)
HINT = distill.init_hint(KEY, 5, 6)
VID = distill.init_vid(KEY, 5, 6)
FACTOR = distill.init_factor(KEY, 5, 6, factors=3)
HEADS = distill.init_contrastive(KEY, 5, 6, features=3)
MEMORY = distill.contrastive_features(jax.random.normal(KEY, (4, 7, 3)))

ROWS = {
    "hint": Row(lambda s, t, _, w, temp: distill.hint_loss(s, t, HINT, weights=w), NARROW, WIDE),
    "attention_transfer": Row(
        lambda s, t, _, w, temp: distill.attention_transfer_loss(s, t, weights=w), (4, 2, 3, 5), (4, 2, 3, 6)
    ),
    "rkd_distance": Row(lambda s, t, _, w, temp: distill.rkd_distance_loss(s, t, weights=w), NARROW, WIDE),
    "rkd_angle": Row(lambda s, t, _, w, temp: distill.rkd_angle_loss(s, t, weights=w), NARROW, WIDE),
    "similarity": Row(lambda s, t, _, w, temp: distill.similarity_loss(s, t, weights=w), NARROW, WIDE),
    "pkt": Row(lambda s, t, _, w, temp: distill.pkt_loss(s, t, weights=w), NARROW, WIDE),
    "vid": Row(lambda s, t, _, w, temp: distill.vid_loss(s, t, VID, weights=w), NARROW, WIDE),
    "factor": Row(lambda s, t, _, w, temp: distill.factor_loss(s, t, FACTOR, weights=w), NARROW, WIDE),
    "info_nce": Row(
        lambda s, t, _, w, temp: distill.info_nce_loss(s, t, HEADS, temperature=temp, weights=w), NARROW, WIDE
    ),
    "crd": Row(
        lambda s, t, n, w, temp: distill.crd_loss(s, t, n, HEADS, examples=20, temperature=temp, weights=w),
        NARROW, WIDE, MEMORY,
    ),
}  # fmt: skip


@pytest.mark.turns(2)
@pytest.mark.parametrize("name", ROWS)
def test_laws(name: str, key: jax.Array) -> None:
    check(ROWS[name], key)


def test_examples_that_are_the_same_have_finite_gradients() -> None:
    x = jnp.ones((4, 5))
    for name in ("rkd_distance", "rkd_angle", "similarity", "pkt", "info_nce"):
        slopes = jax.jit(jax.grad(lambda s, name=name: ROWS[name].loss(s, jnp.ones((4, 6)), None, None, 1.0)))(x)
        assert jnp.isfinite(slopes).all(), name
