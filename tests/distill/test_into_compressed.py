"""A teacher inside the training of pruned, low-rank and quantized students: what is trained is what ships."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import core, distill, lift, lowrank, prune, quant

STEPS = 30
MASKS = {"begin": 0, "end": 10, "every": 2}
ROWS = {
    "masks": prune.gradual(0.75, **MASKS),
    "grid with learned steps": quant.lsq(4),
    "masks, then a grid": core.chain(prune.gradual(0.5, **MASKS), quant.lsq(4)),
    "activations and weights": core.chain(quant.activations(4, method="dynamic"), quant.lsq(4)),
    "low rank": lowrank.svd(rank=2),
}


def net(p: dict[str, Any], x: jax.Array) -> jax.Array:
    return jnp.tanh(x @ p["in"]) @ p["out"]


def init(key: jax.Array, width: int) -> dict[str, jax.Array]:
    a, b = jax.random.split(key)
    return {"in": jax.random.normal(a, (6, width)) / 2, "out": 2 * jax.random.normal(b, (width, 4)) / width**0.5}


@pytest.mark.turns(2)
@pytest.mark.parametrize("name", ROWS)
def test_a_teacher_of_logits_and_features_inside_the_training(name: str, key: jax.Array) -> None:
    compression = ROWS[name]
    keys = jax.random.split(key, 4)
    x, teacher = jax.random.normal(keys[0], (32, 6)), init(keys[1], 16)
    tapped = distill.taps(net, select="in")
    logits, features = tapped(teacher, x)
    student = {"net": init(keys[2], 8), "heads": distill.init_hint(keys[3], 8, 16)}
    only = core.only("net/.*", compression)
    tx = core.as_optax(only, optax.adam(0.02))

    def loss(trained: Any, own: Any) -> jax.Array:
        viewed = only.view(trained, own)
        got, hidden = tapped(viewed["net"], x)
        hint = distill.hint_loss(hidden["in"], features["in"], viewed["heads"])
        return distill.soft_target_loss(got, logits, temperature=2.0) + 0.1 * hint

    def step(carry: Any, _: None) -> Any:
        trained, state = carry
        value, (grads, slopes) = jax.value_and_grad(loss, (0, 1), allow_int=True)(trained, state.compression)
        updates, state = tx.update(grads, state, trained, slopes=slopes)
        return (optax.apply_updates(trained, updates), state), value

    (trained, state), values = jax.jit(lambda c: jax.lax.scan(step, c, None, STEPS))((student, tx.init(student)))
    assert values[-1] < 0.6 * values[0]
    shipped = only.encode(trained, state.compression)["net"]
    assert all(core.is_node(x) for x in core.nodes(shipped).values())
    seen, _ = tapped(only.view(trained, state.compression)["net"], x)
    np.testing.assert_allclose(lift(net)(shipped, x), seen, atol=1e-4)
    if "masks" in name:
        zeros = np.mean(np.asarray(core.materialize(shipped)["in"]) == 0)
        assert zeros >= (0.75 if name == "masks" else 0.5)


def test_factors_learn_from_the_teacher_by_the_product_rule(key: jax.Array) -> None:
    """A student that starts as factors of its teacher: gradients of the soft targets for both factors, written out."""
    a, b, c = jax.random.split(key, 3)
    x, teacher, logits = jax.random.normal(a, (5, 6)), jax.random.normal(b, (6, 4)), jax.random.normal(c, (5, 4))
    student = core.compress({"w": teacher}, {"w": lowrank.svd(rank=2, always=True)})
    apply = lift(lambda p, x: x @ p["w"])
    slopes = jax.grad(lambda p: distill.soft_target_loss(apply(p, x), logits, temperature=3.0))(student)["w"]
    node = student["w"]
    soft = distill.soft_targets(apply(student, x), 3.0) - distill.soft_targets(logits, 3.0)
    wrong = np.asarray(3.0 * soft / 5)  # the gradient of the logits, as the test of the loss has it
    np.testing.assert_allclose(slopes.left, x.T @ wrong @ node.right.T, atol=1e-5)
    np.testing.assert_allclose(slopes.right, node.left.T @ x.T @ wrong, atol=1e-5)
