"""The handler of taps: layouts of products, and uses of one weight."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.interpret import taps
from compressjax.interpret.jaxpr._records import Key
from compressjax.interpret.tapping._handler import Taps


def test_uses_are_counted_over_nested_traces() -> None:
    handler = Taps(lambda name: name != "other", "output")
    handler.named("a", jnp.zeros(1))
    handler.named("other", jnp.zeros(1))
    child = handler.spawn()
    child.named("a", jnp.ones(1))
    handler.absorb(child.collected())
    assert list(handler.records) == [Key("a", (0,), ()), Key("a", (1,), ())]
    assert handler.records[Key("a", (1,), ())] == 1


@pytest.mark.turns(3)
@pytest.mark.parametrize("equation", ["bti,io->bto", "bti,oi->bto", "bti,hio->bhto", "ebi,eio->ebo", "bi,iho->bho"])
def test_features_are_last(equation: str, key: jax.Array) -> None:
    """In every layout, the output has the axes of the data first, and the input the summed axis last."""
    sizes = {"b": 2, "t": 3, "i": 4, "o": 5, "h": 2, "e": 2}
    of_x, of_w = equation.split("->")[0].split(",")
    x, w = (jax.random.normal(key, [sizes[a] for a in axes]) for axes in (of_x, of_w))

    def fn(w: jax.Array, x: jax.Array) -> jax.Array:
        return jnp.einsum(equation, x, w)

    free = "".join(a for a in of_w if a not in of_x)
    lead = "".join(a for a in of_x if a in of_w and a != "i") + "".join(a for a in of_x if a not in of_w)
    _, found = taps(lambda p, x: fn(p["w"], x), select="w")({"w": w}, x)
    np.testing.assert_allclose(found["w"], jnp.einsum(f"{of_x},{of_w}->{lead}{free}", x, w), atol=1e-5)
    _, found = taps(lambda p, x: fn(p["w"], x), select="w", at="input")({"w": w}, x)
    np.testing.assert_array_equal(found["w"], jnp.einsum(f"{of_x}->{lead}i", x))


def test_experts(key: jax.Array) -> None:
    x, w, sizes = jax.random.normal(key, (5, 3)), jax.random.normal(key, (2, 3, 4)), jnp.array([2, 3])
    out, found = taps(lambda p, x: jax.lax.ragged_dot(x, p["w"], sizes), select="w")({"w": w}, x)
    np.testing.assert_array_equal(found["w"], out)
