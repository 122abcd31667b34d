"""Memory: the peak of the process, and the needs of a compiled function."""

import math
import resource
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import Node, nodes, ops


def peak_memory() -> int:
    """Returns the peak resident memory of this process in bytes.

    It never falls, so measure each variant in a separate process.

    Returns:
        Number of bytes.

    Example:
        >>> peak_memory() > 0
        True
    """
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # The unit is bytes on macOS and kibibytes elsewhere.
    return peak if sys.platform == "darwin" else 1024 * peak


def memory_bytes(tree: Any) -> dict[str, int]:
    """Returns the bytes that the arrays of every leaf take in memory.

    Codes of 4 bits take a byte each as NumPy arrays and as int8, and half a byte as int4 or float4 arrays of JAX, which
    XLA packs (their `nbytes` says one).

    Args:
        tree: Tree of arrays and nodes; arrays may be abstract.

    Returns:
        `{path: bytes}`.

    Example:
        >>> import jax.numpy as jnp
        >>> memory_bytes({"a": jnp.zeros((4, 4), jnp.int4), "b": jnp.zeros(3)})
        {'a': 8, 'b': 12}
    """
    return {path: sum(map(_held, jax.tree.leaves(leaf))) for path, leaf in nodes(tree).items()}


def packed_memory(tree: Any) -> dict[str, int]:
    """Bytes that every leaf takes in memory in its smallest form; nothing is packed."""
    small = {path: jax.eval_shape(ops.pack, x) if isinstance(x, Node) else x for path, x in nodes(tree).items()}
    return {path: sum(map(_held, jax.tree.leaves(x))) for path, x in small.items()}


def _held(x: Any) -> int:
    """Bytes of one array; 0 for leaves that are no arrays."""
    if not hasattr(x, "dtype") or not hasattr(x, "shape"):
        return 0
    size, bits = math.prod(x.shape), 8 * x.dtype.itemsize
    if not isinstance(x, np.ndarray) and jnp.issubdtype(x.dtype, jnp.integer):
        bits = jnp.iinfo(x.dtype).bits
    if not isinstance(x, np.ndarray) and jnp.issubdtype(x.dtype, jnp.floating):
        bits = jnp.finfo(x.dtype).bits
    return -(-size * bits // 8)


def temp_bytes(compiled: Any) -> int:
    """Returns the bytes of intermediate arrays of a compiled function, without arguments and results.

    Args:
        compiled: From `jax.jit(fn).lower(*args).compile()`.

    Returns:
        Number of bytes.

    Raises:
        ValueError: If the backend has no memory analysis.

    Example:
        >>> import jax
        >>> temp_bytes(jax.jit(lambda x: x + 1).lower(1.0).compile())
        0
    """
    analysis = compiled.memory_analysis()
    if analysis is None:
        raise ValueError("the backend has no memory analysis of compiled functions; compile for the CPU or a GPU")
    return int(analysis.temp_size_in_bytes)
