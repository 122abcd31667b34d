"""Drawn inputs: small parameter trees of several shapes, dtypes and kinds of values."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st

# Few sets of shapes, so that compiled programs are shared between examples; all axes of kernels are even.
SHAPES = (
    {"first/kernel": (8, 6), "first/bias": (6,), "last/kernel": (6, 4)},
    {"conv/kernel": (3, 3, 2, 4), "conv/bias": (4,), "norm/scale": (4,), "last/kernel": (4, 10)},
)
KINDS = ("normal", "ties", "zeros", "wide", "sparse")


class Spec(NamedTuple):
    """A parameter tree, by what it was drawn from.

    Attributes:
        shapes: Index into `SHAPES`.
        dtype: Of all floating leaves.
        kind: Distribution of the values.
        seed: Of NumPy's generator.
    """

    shapes: int = 0
    dtype: str = "float32"
    kind: str = "normal"
    seed: int = 0

    def params(self) -> dict[str, Any]:
        """The tree, with an integer leaf that no method may touch."""
        rng = np.random.default_rng(self.seed)
        tree: dict[str, Any] = {"step": jnp.int32(self.seed)}
        for path, shape in SHAPES[self.shapes].items():
            owner, name = path.split("/")
            tree.setdefault(owner, {})[name] = jnp.asarray(_numbers(rng, shape, self.kind), jnp.dtype(self.dtype))
        return tree

    def grads(self) -> dict[str, Any]:
        """Gradients of the floating leaves; zeros of the integer leaf's type elsewhere."""
        rng = np.random.default_rng(self.seed + 1)

        def draw(x: Any) -> Any:
            if not jnp.issubdtype(x.dtype, jnp.floating):
                return jnp.zeros_like(x)
            return jnp.asarray(rng.normal(size=x.shape), x.dtype)

        return jax.tree.map(draw, self.params())


def _numbers(rng: np.random.Generator, shape: tuple[int, ...], kind: str) -> np.ndarray:
    normal = rng.normal(size=shape)
    match kind:
        case "normal":
            return normal
        case "ties":
            return rng.integers(-2, 3, shape) / 2
        case "zeros":
            return np.zeros(shape)
        case "wide":
            return normal * 10.0 ** rng.integers(-3, 3, shape)
        case "sparse":
            return np.where(rng.random(shape) < 0.7, 0.0, normal)
    raise ValueError(f"kind={kind!r} is none of {KINDS}")


# Pairs of a set of shapes and a dtype: every dtype, every rank, and few programs to compile.
VARIANTS = ((1, "float32"), (0, "bfloat16"), (0, "float16"))


def specs(variants: tuple[tuple[int, str], ...] = VARIANTS) -> st.SearchStrategy[Spec]:
    """Strategy of parameter trees; its examples print as the call that makes them.

    Args:
        variants: Index into `SHAPES` and dtype, to draw from.

    Returns:
        The strategy.
    """
    return st.builds(
        lambda variant, kind, seed: Spec(*variant, kind, seed),
        st.sampled_from(variants), st.sampled_from(KINDS), st.integers(0, 1000),
    )  # fmt: skip
