"""Functions without weights that are zero, against the same functions on zeros."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.core import nodes
from compressjax.interpret.narrowing._without import without
from tests.interpret import cutting
from tests.interpret.narrowing.test_narrow import IMAGES, TOKENS, linen


@pytest.mark.parametrize(
    ("case", "block"),
    [
        (lambda: linen(cutting.ResNet(), IMAGES), "Block_0"),
        (lambda: linen(cutting.Bert(), TOKENS), "MultiHeadDotProductAttention_1"),
        (lambda: linen(cutting.Bert(), TOKENS), "Dense_"),
    ],
    ids=["resnet", "attention", "dense"],
)
def test_equals_the_function_on_zeros(case, block):
    fn, params, x = case()
    flat = nodes(params)
    gone = [path for path in flat if block in path]
    zeros = jax.tree_util.tree_map_with_path(
        lambda path, leaf: leaf * 0 if any(block in str(key) for key in path) else leaf, params
    )
    small = without(fn, params, gone)
    rest = {path: leaf for path, leaf in flat.items() if path not in gone}
    np.testing.assert_allclose(jax.jit(small)(rest, x), jax.jit(fn)(zeros, x), rtol=1e-4, atol=1e-4)
    names = [eqn.primitive.name for eqn in jax.make_jaxpr(small)(rest, x).eqns]
    assert names.count("dot_general") < str(jax.make_jaxpr(fn)(params, x)).count("dot_general") or "conv" in str(names)


def test_sums_with_zero_on_either_side():
    p = {"a": jnp.full((3,), 2.0), "b": jnp.full((3,), 5.0)}
    x = jnp.arange(3.0)
    assert without(lambda p, x: x - p["a"], p, ["a"])({}, x).tolist() == [0, 1, 2]
    assert without(lambda p, x: p["a"] - x, p, ["a"])({}, x).tolist() == [0, -1, -2]
    assert without(lambda p, x: p["a"] + p["b"], p, ["a", "b"])({}, x).tolist() == [0, 0, 0]
    assert without(lambda p, x: jnp.exp(p["a"]) * x, p, ["a"])({}, x).tolist() == [0, 1, 2]


def test_loops_meet_real_zeros():
    p = {"a": jnp.ones((2, 3))}
    fn = without(lambda p, x: jax.lax.scan(lambda h, w: (h + w, None), x, p["a"])[0], p, ["a"])
    assert fn({}, jnp.ones(3)).tolist() == [1, 1, 1]


def test_weights_without_effect_may_be_absent_and_others_may_not():
    p = {"a": jnp.ones((2, 2)), "b": jnp.ones((2, 2)), "c": jnp.ones((2, 2))}
    fn = without(lambda p, x: x @ p["c"] + jnp.tanh(x @ p["a"]) @ p["b"], p, ["b"])
    assert fn({"c": p["c"]}, jnp.ones((1, 2))).tolist() == [[2, 2]]
    with pytest.raises(ValueError, match="depend on the weight 'c'"):
        fn({"a": p["a"]}, jnp.ones((1, 2)))
    with pytest.raises(ValueError, match=r"no weights at \['d'\]"):
        without(lambda p, x: x, p, ["d"])
