"""States hold arrays of their own, so that a donated step takes nothing from its caller."""

import jax
import jax.numpy as jnp
import optax

from compressjax import core, prune
from compressjax.core._own import copied, lent, unshared


def test_only_shared_arrays_are_copied() -> None:
    x, y = jnp.ones(2), jnp.zeros(2)
    state = unshared({"a": x, "b": y, "c": y}, {"kernel": x})
    assert state["b"] is y
    assert state["a"] is not x
    assert state["c"] is not y
    assert state["c"].tolist() == y.tolist()
    assert copied([x, 3])[0] is not x


def test_a_donated_step_leaves_the_caller_its_arrays() -> None:
    key, params = jax.random.key(0), {"a": {"kernel": jnp.ones((2, 4))}, "b": {"kernel": jnp.ones((2, 4))}}
    given = {path: jnp.ones((2, 4), bool) for path in core.values(params)}
    c = core.partition({"a/kernel": prune.set_(0.5, key, end=9), "b/kernel": core.chain(
        prune.static(masks={"b/kernel": given["b/kernel"]}), prune.soft_threshold())})  # fmt: skip
    tx = core.as_optax(c, optax.sgd(0.1, momentum=0.9))
    step = jax.jit(tx.update, donate_argnums=1)
    state = tx.init(params)
    for _ in range(2):
        _, state = step(jax.tree.map(jnp.ones_like, params), state, params)
    assert not any(x.is_deleted() for x in jax.tree.leaves((key, params, given)))
    assert step(jax.tree.map(jnp.ones_like, params), tx.init(params), params)


def test_what_is_lent_is_not_copied() -> None:
    x = jnp.ones(2)
    with lent():
        assert copied([x])[0] is x
    assert copied([x])[0] is not x
