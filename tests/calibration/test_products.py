"""Products are found, with the arrays that they read."""

import jax
import jax.numpy as jnp
import pytest

from compressjax.calibration._products import products
from compressjax.calibration._watch import Taken
from compressjax.interpret import observe
from compressjax.interpret.jaxpr._line import inputs_of, line_of
from tests.calibration import toys


def found(fn, params, *args, gram=True):
    line = line_of(fn, params, args)
    return line, products(line, params, inputs_of(args), dict.fromkeys(params, Taken(gram)))


def test_queries_keys_and_values_read_one_array():
    params, x = toys.block_params(), toys.normal(0, 2, 5, 8)
    line, p = found(toys.block, params, x)
    assert p.sources["q"] == p.sources["k"] == p.sources["v"]
    assert len({p.sources[name] for name in ("q", "o", "up", "down")}) == 4
    assert p.rows["q"] == p.rows["v"]
    assert all(line.equations[p.places[n][0]].eqn.primitive.name == "dot_general" for n in params)
    assert p.first == {name: places[0] for name, places in p.places.items()}
    shapes = jax.eval_shape(lambda: observe(toys.block)(params, x)[1])
    assert jax.tree.map(lambda s: s.shape, p.stats) == jax.tree.map(lambda s: s.shape, shapes)


def test_reshaped_and_converted_inputs_are_the_same_array():
    params = {"a": jnp.ones((4, 3)), "b": jnp.ones((4, 2))}

    def fn(p, x):
        first = x.astype(jnp.bfloat16).reshape(6, 4) @ p["a"].astype(jnp.bfloat16)
        return first, x @ p["b"]

    _, p = found(fn, params, jnp.ones((2, 3, 4)))
    assert p.sources["a"] == p.sources["b"]
    assert p.rows["a"] != p.rows["b"]


@pytest.mark.parametrize("gram", [True, False])
def test_a_loop_is_one_place_and_gram_matrices_are_optional(gram):
    params = {"w": jnp.ones((3, 4, 4)), "table": jnp.ones((5, 4))}

    def fn(p, ids):
        x = p["table"][ids]
        return jax.lax.scan(lambda h, w: (h @ w, None), x, p["w"])[0]

    line, p = found(fn, params, jnp.array([0, 2]), gram=gram)
    assert [line.equations[at].eqn.primitive.name for at in p.places["w"]] == ["scan"]
    assert p.sources["w"] == "w"
    assert "table" not in p.places
    assert p.first["table"] < p.first["w"]
    assert (p.stats["w"].gram is not None) == gram
