"""Operations on entries: which zeros survive, by running them on zeros."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.interpret.coupling._label_entries import ENTRIES, entrywise
from compressjax.interpret.coupling._labels import LabeledTrace
from tests.interpret import cutting

UNARY = [jnp.tanh, jnp.sin, jnp.cos, jnp.exp, jnp.abs, jnp.expm1, jnp.log1p, jnp.sqrt, jnp.sign, jnp.floor, jnp.ceil,
         jnp.round, jnp.square, jnp.cbrt, jnp.cosh, jnp.sinh, jnp.arctan, jnp.arcsin, jnp.arccos, jnp.negative,
         jax.lax.erf, jax.lax.erfc, jax.lax.erf_inv, jax.lax.logistic, jax.lax.exp2, jax.lax.lgamma, jnp.isfinite,
         lambda x: x**3, lambda x: x**0, lambda x: x**2.5, lambda x: jax.lax.reduce_precision(x, 5, 5),
         lambda x: jnp.maximum(x, 0.0), lambda x: jnp.maximum(x, 1.0), lambda x: jnp.minimum(x, 6.0),
         lambda x: jnp.minimum(x, -1.0), lambda x: jnp.maximum(x, -1.0), lambda x: jax.lax.clamp(-1.0, x, 1.0),
         lambda x: jax.lax.clamp(0.5, x, 1.0), lambda x: x / 3.0, lambda x: x * 3.0, lambda x: x + 3.0,
         lambda x: x.astype(jnp.bfloat16), lambda x: jnp.where(x > 0, x, 0.0),
         lambda x: jnp.where(x > 0, x, 1.0)]  # fmt: skip


def outcome(fn, zeros):
    """Whether the labels mark the result as zero, for each zero operand."""
    labeled = LabeledTrace(ENTRIES)
    args = [jnp.zeros(2) if zero else jnp.full(2, 0.7) for zero in zeros]
    closed = jax.make_jaxpr(fn)(*args)
    from compressjax.interpret.coupling._couplings import _RULES

    labeled.rules = _RULES
    labels = [labeled.new((2,), zero=zero) for zero in zeros]
    return labeled.walk(closed.jaxpr, closed.consts, labels, ())[0].vanishes(0), fn(*args)


@pytest.mark.parametrize("number", range(len(UNARY)))
def test_zeros_of_one_operand(number):
    said, value = outcome(UNARY[number], [True])
    assert said == bool(np.all(np.asarray(value, np.float32) == 0))


@pytest.mark.parametrize("zeros", [(False, True), (True, False), (True, True), (False, False)])
@pytest.mark.parametrize("fn", [jnp.add, jnp.subtract, jnp.multiply, jnp.divide, jnp.maximum, jnp.minimum])
def test_zeros_of_two_operands(fn, zeros):
    said, value = outcome(fn, zeros)
    # Marked zeros are zero. A difference of equal numbers may be zero without a mark.
    if said:
        assert np.all(np.asarray(value) == 0)
    elif fn in (jnp.add, jnp.multiply) or all(zeros):
        assert not np.all(np.asarray(value) == 0)


def test_stretched_axes_couple_nothing():
    labeled = LabeledTrace({})
    eqn = jax.make_jaxpr(jax.lax.mul)(jnp.ones((2, 3)), jnp.ones((2, 3))).eqns[0]
    a, b = labeled.new((2, 3)), labeled.new((2, 1))
    out = entrywise(labeled, eqn, [a, b], ())[0]
    assert out.shape == (2, 3)
    assert labeled.atoms.resolve(a.axes[0][0]) == labeled.atoms.resolve(b.axes[0][0])
    assert labeled.atoms.reason(a.axes[1][0]) is None


P = {"a": jnp.ones((2, 4)) * jnp.arange(1.0, 5.0)[None], "b": jnp.arange(1.0, 5.0)[:, None]}
X = jnp.array([[1.0, -2.0], [0.5, 3.0]])


@pytest.mark.parametrize(
    "between",
    [
        jax.nn.relu, jax.nn.gelu, jax.nn.silu, jax.nn.elu, jax.nn.softplus, lambda h: h + jnp.arange(4.0)[None],
        lambda h: h * jax.lax.iota(jnp.float32, 4)[None],
        lambda h: h * jax.random.bernoulli(jax.random.key(0), 0.5, h.shape), jax.lax.optimization_barrier,
        jax.lax.stop_gradient, lambda h: h.astype(jnp.int32).astype(jnp.float32),
    ],
)  # fmt: skip
def test_masked_equals_narrowed(between):
    assert cutting.agrees(lambda p, x: between(x @ p["a"]) @ p["b"], P, X) == ["a:1"]
