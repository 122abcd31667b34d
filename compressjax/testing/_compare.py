"""Bitwise comparisons, and the error of a broken law."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


class Broken(AssertionError):  # noqa: N818 - a law is broken
    """A law does not hold; the message names the law and the problem.

    Example:
        >>> issubclass(Broken, AssertionError)
        True
    """


def require(held: Any, law: str, why: str) -> None:
    """Raises `Broken` with the name of the law unless `held`."""
    if not held:
        raise Broken(f"{law}: {why}")


def array(seed: int, shape: tuple[int, ...], dtype: str = "float32", scale: float = 1.0) -> jax.Array:
    """Normal numbers from NumPy, so that laws do not depend on the generator under test."""
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape) * scale, jnp.dtype(dtype))


def epsilon(dtype: Any) -> float:
    """Machine epsilon of a floating-point dtype."""
    return float(jnp.finfo(dtype).eps)


def same_bits(a: Any, b: Any) -> bool:
    """Whether two arrays have the same dtype, shape and bytes (NaN equals NaN, zero differs from minus zero)."""
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def difference(a: Any, b: Any) -> str:
    """Describes where two trees differ in structure or bits."""
    ours: Any = jax.tree.structure(a)
    theirs: Any = jax.tree.structure(b)
    if ours != theirs:
        return f"structures differ: {ours} and {theirs}"
    for (path, x), (_, y) in zip(*(jax.tree_util.tree_flatten_with_path(t)[0] for t in (a, b)), strict=True):
        if not same_bits(x, y):
            return f"{jax.tree_util.keystr(path)} differs: {describe(x)} and {describe(y)}"
    return ""


def describe(x: Any) -> str:
    """Shape, dtype and the first entries."""
    x = np.asarray(x)
    return f"{x.dtype}{list(x.shape)} {x.ravel()[:6].tolist()}"


def float64(x: Any) -> np.ndarray:
    """Any array in double precision."""
    return np.asarray(x).astype(np.float64)
