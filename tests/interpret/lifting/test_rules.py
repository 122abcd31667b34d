"""The table of rules agrees with JAX: every name in it is an operation that JAX emits."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.ad_checkpoint import checkpoint_name

from compressjax.core import Dense, Window, ops
from compressjax.interpret.jaxpr._weight import Weight
from compressjax.interpret.lifting._rules import LAYOUTS, PRODUCTS, move, windows
from tests import helpers
from tests.interpret import samples

LAYOUT_EXAMPLES = {
    "transpose": lambda w: w.T,
    "reshape": lambda w: w.reshape(24),
    "squeeze": lambda w: jax.lax.squeeze(w[:1], (0,)),
    "broadcast_in_dim": lambda w: w[None],
    "convert_element_type": lambda w: w.astype(jnp.bfloat16),
    "slice": lambda w: w[1:3],
    "dynamic_slice": lambda w: jax.lax.dynamic_slice(w, (1, 0), (2, 4)),
    "split": lambda w: jnp.split(w, 2),
    "unstack": jnp.unstack,
    "stop_gradient": jax.lax.stop_gradient,
    "name": lambda w: checkpoint_name(w, "w"),
    "copy": jnp.copy,
}


def inner(jaxpr: Any) -> list[Any]:
    """Equations at every depth."""
    out = []
    for eqn in jaxpr.eqns:
        out.append(eqn)
        for p in eqn.params.values():
            out += inner(getattr(p, "jaxpr", p)) if hasattr(p, "eqns") or hasattr(p, "jaxpr") else []
    return out


@pytest.mark.parametrize("name", LAYOUT_EXAMPLES)
def test_layout_rules_give_what_the_operation_gives(name: str) -> None:
    w = samples.floats(samples.rng(), 6, 4)
    f = LAYOUT_EXAMPLES[name]
    names = [e.primitive.name for e in inner(jax.make_jaxpr(f)(w).jaxpr)]
    assert name in names or (name == "copy" and "copy_p" in names)
    node = samples.codebook(samples.rng(), 6, 4)
    asked = f(node.materialize())
    assert "fallback" not in {s for p, s in samples.statuses(f, node) if p != "return"}
    for got, want in zip(jax.tree.leaves(samples.lifted(f)(node)), jax.tree.leaves(asked), strict=True):
        assert helpers.same_bits(got, want)


def test_every_rule_has_an_example() -> None:
    assert set(LAYOUTS) - set(LAYOUT_EXAMPLES) == {"pvary", "copy_p"}
    assert set(PRODUCTS) == {"dot_general", "conv_general_dilated", "gather", "ragged_dot_general"}


def test_moves_of_operations_that_are_no_moves() -> None:
    node = Weight(samples.codebook(samples.rng(), 6, 4), "w")
    eqn = jax.make_jaxpr(jnp.sin)(jnp.ones((6, 4))).eqns[0]
    assert move(eqn, [node]) is None


def test_refusals_have_reasons() -> None:
    node = Weight(samples.codebook(samples.rng(), 6, 4), "w")
    grown = jax.make_jaxpr(lambda w: jnp.broadcast_to(w, (2, 6, 4)))(jnp.ones((6, 4))).eqns[0]
    assert "new entries" in move(grown, [node]).reason
    integer = jax.make_jaxpr(lambda w: w.astype(int))(jnp.ones((6, 4))).eqns[0]
    assert isinstance(move(integer, [node]), Dense)
    cut = jax.make_jaxpr(lambda w, i: jax.lax.dynamic_slice(w, (i, i), (2, 2)))(jnp.ones((6, 4)), 0).eqns[-1]
    assert "indices" in move(cut, [jnp.ones((6, 4)), Weight(jnp.int32(0), "i"), 0]).reason


def test_dynamic_slices_by_known_indices_clamp() -> None:
    node = samples.codebook(samples.rng(), 6, 4)
    for start in (-3, 0, 5, 99):
        f = lambda w, start=start: jax.lax.dynamic_slice_p.bind(  # noqa: E731
            w, jnp.int32(start), jnp.int32(0), slice_sizes=(2, 4)
        )
        samples.assert_close(samples.lifted(f)(node), helpers.brute(node)[min(max(start, 0), 4) :][:2])


def test_windows_of_whole_axes_are_none() -> None:
    assert windows((4, 3), (0, 1), (4, 2)) == [None, Window(1, 2)]
    assert windows((4,), (jnp.int32(3),), (4,)) == [None]
    x = samples.floats(samples.rng(), 4, 3)
    np.testing.assert_array_equal(ops.cut(x, windows((4, 3), (0, 1), (2, 2), (2, 1))), x[0:3:2, 1:3])
