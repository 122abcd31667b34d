"""Losses of regimes keep the laws of all losses."""

import jax
import jax.numpy as jnp
import pytest

from compressjax import distill
from tests.distill.laws import Row, check

LABELS = jnp.array([1, 0, 4, 2])
LOGITS = (4, 5)

ROWS = {
    "mutual": Row(
        lambda s, _, y, w, temp: sum(distill.mutual_losses(s, y, temperature=temp, weights=w)),
        [LOGITS, LOGITS, LOGITS], LOGITS, LABELS, teaches=False,
    ),
    "codistillation": Row(
        lambda s, _, y, w, temp: distill.mutual_losses(s, y, peers="mean", temperature=temp, weights=w)[0],
        [LOGITS, LOGITS], LOGITS, LABELS, teaches=False,
    ),
    "pseudo_label": Row(
        lambda s, t, _, w, temp: distill.pseudo_label_loss(s, t, threshold=0.1, weights=w), LOGITS, LOGITS
    ),
    "nt_xent": Row(
        lambda s, _, __, w, temp: distill.nt_xent_loss(*s, temperature=temp, weights=w),
        [LOGITS, LOGITS], LOGITS, teaches=False,
    ),
}  # fmt: skip


@pytest.mark.turns(2)
@pytest.mark.parametrize("name", ROWS)
def test_laws(name: str, key: jax.Array) -> None:
    check(ROWS[name], key)
