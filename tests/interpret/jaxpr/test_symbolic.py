"""Numbers for symbolic sizes."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from compressjax.interpret.jaxpr._symbolic import _STAND_IN, stand_in, symbolic, with_stand_ins


def test_expressions_have_the_value_of_their_parts() -> None:
    batch, t = export.symbolic_shape("batch, t")
    n = _STAND_IN
    sizes = [batch, 2 * batch + 1, batch * t, (3 * batch) // 2, t % 4, export.symbolic_shape("max(a, 9)")[0]]
    assert [stand_in(size) for size in sizes] == [n, 2 * n + 1, n * n, 3 * n // 2, n % 4, n]
    assert stand_in(7) == 7
    assert [symbolic(size) for size in (batch, 7, np.int64(7))] == [True, False, False]


def test_equations_get_numbers_and_others_stay() -> None:
    (batch,) = export.symbolic_shape("batch")
    x = jax.ShapeDtypeStruct((batch, 4), jnp.float32)
    eqn = jax.make_jaxpr(lambda x: x.reshape(-1, 2))(x).eqns[-1]
    made = with_stand_ins(eqn)
    assert made.params["new_sizes"] == made.outvars[0].aval.shape == (2 * _STAND_IN, 2)
    plain = jax.make_jaxpr(lambda x: x.reshape(-1, 2))(jnp.ones((2, 4))).eqns[-1]
    assert with_stand_ins(plain) is plain
