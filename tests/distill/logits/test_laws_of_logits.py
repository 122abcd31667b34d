"""Losses on logits keep the laws of all losses."""

import jax
import jax.numpy as jnp
import pytest

from compressjax import distill
from tests.distill.laws import Row, check

LABELS = jnp.array([1, 0, 4, 2])
LOGITS = (4, 5)

ROWS = {
    "soft_target": Row(
        lambda s, t, y, w, temp: distill.soft_target_loss(s, t, y, temperature=temp, weights=w),
        LOGITS, LOGITS, LABELS,
    ),
    "soft_target_of_probabilities": Row(
        lambda s, t, y, w, temp: distill.soft_target_loss(s, t, y, temperature=temp, weights=w),
        LOGITS, LOGITS, jax.nn.one_hot(LABELS, 5),
    ),
    "dkd": Row(
        lambda s, t, y, w, temp: distill.dkd_loss(s, t, y, temperature=temp, weights=w), LOGITS, LOGITS, LABELS
    ),
    "dist": Row(lambda s, t, _, w, temp: distill.dist_loss(s, t, temperature=temp, weights=w), LOGITS, LOGITS),
    "teacher_free": Row(
        lambda s, t, y, w, temp: distill.teacher_free_loss(s, y, temperature=temp, weights=w),
        LOGITS, LOGITS, LABELS, teaches=False,
    ),
    "multilabel": Row(
        lambda s, t, y, w, temp: distill.multilabel_loss(s, t, y, temperature=temp, weights=w),
        LOGITS, LOGITS, jax.nn.one_hot(LABELS, 5),
    ),
    "regression": Row(lambda s, t, _, w, temp: distill.regression_loss(s, t, weights=w), LOGITS, LOGITS),
    "huber": Row(lambda s, t, _, w, temp: distill.regression_loss(s, t, delta=1, weights=w), LOGITS, LOGITS),
    "bounded_regression": Row(
        lambda s, t, y, w, temp: distill.bounded_regression_loss(s, t, y, margin=100.0, weights=w),
        LOGITS, LOGITS, jax.nn.one_hot(LABELS, 5),
    ),
}  # fmt: skip


@pytest.mark.turns(2)
@pytest.mark.parametrize("name", ROWS)
def test_laws(name: str, key: jax.Array) -> None:
    check(ROWS[name], key)
