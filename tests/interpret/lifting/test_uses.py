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


def test_only_kernels_that_run_as_shifted_images_count_as_depthwise() -> None:
    draw, numbers = samples.rng(), ("NHWC", "HWIO", "NHWC")
    shapes = {"plain": (3, 3, 1, 4), "dilated": (3, 3, 1, 4), "double": (3, 3, 1, 8), "grouped": (1, 1, 2, 4),
              "both": (3, 3, 1, 4)}  # fmt: skip
    tree = {name: samples.grid(draw, shape, (1, 1, 1, 1)) for name, shape in shapes.items()}

    def fn(p: Any, x: jax.Array) -> Any:
        def conv(name: str, groups: int = 4, dilation: int = 1) -> jax.Array:
            return jax.lax.conv_general_dilated(
                x, p[name], (1, 1), "SAME", rhs_dilation=(dilation,) * 2, dimension_numbers=numbers,
                feature_group_count=groups,
            )  # fmt: skip

        return (conv("plain"), conv("dilated", dilation=2), conv("double"), conv("grouped", 2), conv("both"),
                conv("both", dilation=2))  # fmt: skip

    uses = Uses()
    survey(fn, (tree, jnp.zeros((1, 5, 5, 4))), {}, uses)
    assert uses.depthwise == {"plain"}
