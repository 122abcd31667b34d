"""Losses for language models keep the laws of all losses."""

import jax
import jax.numpy as jnp
import pytest

from compressjax import distill
from tests.distill.laws import Row, check

LOGITS = (4, 3, 5)
TOKENS = jnp.array([[1, 0, 4], [2, 2, 0], [0, 1, 3], [4, 4, 4]])


def tokens(weights: jax.Array | None) -> jax.Array | None:
    """Weights of examples for every position; those that fit no batch stay as they are."""
    return weights if weights is None or weights.shape == (7,) else weights[:, None]


HINT = distill.init_hint(jax.random.key(7), 4, 6)
CHUNKS = jnp.array([[0, 0, 1], [0, 1, 1], [0, 1, -1], [0, 1, 1]])


ROWS = {
    **{
        kind: Row(
            lambda s, t, _, w, temp, kind=kind: distill.token_loss(
                s, t, kind=kind, temperature=temp, weights=tokens(w)
            ),
            LOGITS, LOGITS,
        )
        for kind in ("forward", "reverse", "skew", "skew_reverse")
    },
    "jsd": Row(
        lambda s, t, _, w, temp: distill.jsd_loss(s, t, beta=0.3, temperature=temp, weights=tokens(w)), LOGITS, LOGITS
    ),
    "sequence": Row(
        lambda s, t, y, w, temp: distill.sequence_loss(s, y, weights=tokens(w)), LOGITS, LOGITS, TOKENS, teaches=False
    ),
    "uld": Row(
        lambda s, t, _, w, temp: distill.uld_loss(s, t, temperature=temp, weights=tokens(w)), LOGITS, (4, 3, 7)
    ),
    "minilm": Row(
        lambda s, t, _, w, temp: distill.minilm_loss(s, t, heads=2, weights=tokens(w)), (4, 3, 4), (4, 3, 6)
    ),
    "attention_map": Row(
        lambda s, t, _, w, temp: distill.attention_map_loss(s, t, weights=tokens(w)), (4, 2, 3, 3), (4, 2, 3, 3),
    ),
    "transformer_layer": Row(
        lambda s, t, _, w, temp: distill.transformer_layer_loss(s, t, HINT, weights=tokens(w)),
        {"hidden": (4, 3, 4), "attention": (4, 2, 3, 3)}, {"hidden": (4, 3, 6), "attention": (4, 2, 3, 3)},
    ),
    "span": Row(
        lambda s, t, c, w, temp: distill.span_loss(
            s, t, c[0], c[1], chunks=2, temperature=temp, weights=tokens(w)
        ),
        (4, 3), (4, 2), (CHUNKS, CHUNKS[:, 1:]),
    ),
}  # fmt: skip


@pytest.mark.turns(2)
@pytest.mark.parametrize("name", ROWS)
def test_laws(name: str, key: jax.Array) -> None:
    check(ROWS[name], key)


@pytest.mark.turns(3)
@pytest.mark.parametrize("name", ["forward", "minilm", "attention_map"])
def test_padding_does_not_matter(name: str, key: jax.Array) -> None:
    """Positions are masked one by one, not only whole examples."""
    row, mask = ROWS[name], jnp.array([[1.0, 1.0, 0.0]] * 4)
    student, teacher = (jax.random.normal(k, s) for k, s in zip(jax.random.split(key), (row.student, row.teacher)))
    loss = {
        "forward": distill.token_loss, "minilm": lambda *a, **k: distill.minilm_loss(*a, heads=2, **k),
        "attention_map": distill.attention_map_loss,
    }[name]  # fmt: skip
    cut = {"attention_map": lambda x: x[:, :, :2, :2]}.get(name, lambda x: x[:, :2])
    spoil = {"attention_map": lambda x: x.at[:, :, 2].set(jnp.nan).at[:, :, :, 2].set(jnp.nan)}
    spoiled = [spoil.get(name, lambda x: x.at[:, 2].set(jnp.nan))(x) for x in (student, teacher)]
    got, slopes = jax.jit(jax.value_and_grad(lambda s, t: loss(s, t, weights=mask)))(*spoiled)
    assert float(got) == pytest.approx(float(loss(cut(student), cut(teacher))), rel=1e-5)
    assert jnp.isfinite(slopes).all()
