"""Rows of every weight, counted by hand."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.interpret.lifting._lift import survey
from compressjax.interpret.lifting._uses import Uses
from tests.interpret import samples


def test_the_fewest_rows_of_every_weight() -> None:
    draw, numbers = samples.rng(), ("NWC", "WIO", "NWC")
    names = ("once", "twice", "loop", "left", "read")
    tree = {name: samples.grid(draw, (8, 8), activation="dynamic") for name in names}
    tree |= {name: samples.grid(draw, (2, 8, 8), (1, 1, 1), activation="dynamic") for name in ("experts", "conv")}

    def fn(p: Any, x: jax.Array) -> Any:
        return (
            x @ p["once"],
            x @ p["twice"],
            x[0, :1] @ p["twice"],
            p["left"] @ x[0].T,
            p["read"][jnp.arange(4)],
            jax.lax.ragged_dot(x[0], p["experts"], jnp.array([1, 3])),
            jax.lax.conv_general_dilated(x, p["conv"], (1,), "SAME", dimension_numbers=numbers),
            jax.lax.scan(lambda h, _: (h @ p["loop"], None), x[0, 0], None, length=3)[0],
        )

    uses = Uses()
    survey(fn, (tree, jnp.ones((3, 4, 8))), {}, uses)
    assert uses.fewest == {"once": 12, "twice": 1, "left": 4, "experts": 2, "loop": 1}
