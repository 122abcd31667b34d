"""Exports the program as bytes, so that a machine without the source code of the model can run a file."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export as jax_export

from compressjax.artifact._file import load
from compressjax.artifact._like import indices
from compressjax.artifact._tree import flatten
from compressjax.coding import ArtifactError


def export(
    fn: Callable[..., Any], tree: Any, *example_args: Any, platforms: Sequence[str] | None = None, batch: str = "auto"
) -> bytes:
    """Compiles `fn(tree, *args)` to portable bytes (StableHLO) that take the tree's arrays as inputs.

    The leading axis that the example arguments share is exported as a symbolic batch size. If the function does not
    support it, the program only takes the shapes of the example, and a warning says why.

    Args:
        fn: Function of a tree and arrays, for example `lift(model.apply)`.
        tree: Tree of arrays and nodes; only its structure, shapes and dtypes matter.
        *example_args: Arrays (or dicts, lists and tuples of arrays) with the shapes to run on.
        platforms: Platforms of the program, for example `("cpu", "cuda")`; by default the current backend.
        batch: `"auto"`; `"symbolic"` to require a symbolic batch size, or `"fixed"` to export the example's shapes.

    Returns:
        Bytes for `save(..., program=...)`.

    Raises:
        ValueError: If no example argument is given, `batch` is unknown, or it is `"symbolic"` and the function does not
            support it.

    Example:
        >>> program = export(lambda tree, x: x @ tree["w"], {"w": jnp.ones((3, 2))}, jnp.ones((4, 3)))
        >>> len(program) > 0
        True

    Source: `jax.export`, https://docs.jax.dev/en/latest/export/export.html.
    """
    if not example_args:
        raise ValueError("export needs at least one example argument; pass arrays of the shapes to run on")
    if batch not in ("auto", "symbolic", "fixed"):
        raise ValueError(f"export: batch={batch!r} is unknown; use 'auto', 'symbolic' or 'fixed'")
    order, treedef, shapes = _layout(tree)

    def whole(arrays: list[list[Any]], args: tuple[Any, ...]) -> Any:
        leaves: list[Any] = [None] * len(order)
        for index, structure, parts in zip(order, shapes, arrays, strict=True):
            leaves[index] = jax.tree.unflatten(structure[0], parts)
        return fn(jax.tree.unflatten(treedef, leaves), *args)

    arrays = [structure[1] for structure in shapes]
    exporter = jax_export.export(jax.jit(whole), platforms=platforms)
    fixed = jax.tree.map(lambda x: jax.ShapeDtypeStruct(np.shape(x), jax.dtypes.result_type(x)), example_args)
    reason = ""
    if batch != "fixed" and (opened := _open_batch(fixed)) is not None:
        try:
            return bytes(exporter(arrays, opened).serialize())
        except Exception as failure:  # the function may raise anything on a size that it does not know
            reason = f"{type(failure).__name__}: {str(failure).strip().partition(chr(10))[0]}"
    if batch == "symbolic":
        raise ValueError(f"export: the function does not run with a symbolic batch size: {reason}")
    program = bytes(exporter(arrays, fixed).serialize())
    if reason:
        warnings.warn(
            f"export: the program only takes the shapes of the example, since the function does not run with a "
            f"symbolic batch size ({reason}); pass batch='fixed' to accept it",
            stacklevel=2,
        )
    return program


def _open_batch(shapes: Any) -> Any:
    """Replaces the leading axis of the first shape, and those of the same length, with a symbol; None for scalars."""
    (batch,) = jax_export.symbolic_shape("batch")
    first = next((x.shape[:1] for x in jax.tree.leaves(shapes) if x.shape), None)
    if first is None:
        return None

    def free(x: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((batch, *x.shape[1:]), x.dtype) if x.shape[:1] == first else x

    return jax.tree.map(free, shapes)


def run(path: str | os.PathLike[str], *inputs: Any) -> Any:
    """Runs the stored program on the stored tree; run only files you trust.

    The checks of `load` do not reach into a program: it is code, which XLA compiles and runs as it is. Programs age:
    JAX reads those of the last six months. A file whose program cannot be read any more still gives its weights: `load`
    does not look at the program, and the error says how to export it again.

    Args:
        path: File with a program.
        *inputs: Arrays like the example arguments of `export`; the batch size may differ if it is symbolic. NumPy
            arrays of raw bits (void, or unsigned integers of the same width) stand for types that `.npy` files lack,
            such as bfloat16.

    Returns:
        Result of the program.

    Raises:
        ArtifactError: If the file has no program, the inputs do not fit it, or this JAX cannot run it; the message
            names the JAX that wrote it.

    Example:
        >>> import os, tempfile
        >>> from compressjax.artifact import save
        >>> file, tree = os.path.join(tempfile.mkdtemp(), "model.cjx"), {"w": jnp.ones((3, 2))}
        >>> _ = save(file, tree, program=export(lambda tree, x: x @ tree["w"], tree, jnp.ones((4, 3))))
        >>> run(file, jnp.ones((5, 3))).shape
        (5, 2)
    """
    artifact = load(path)
    if artifact.program is None:
        raise ArtifactError(f"{path} has no program; save it with program=export(fn, tree, example)")
    writer = str(artifact.manifest.metadata.get("versions", {}).get("jax", "an unknown version"))[:80]
    remedy = (
        f"it was saved with JAX {writer}, this is JAX {jax.__version__}; install that JAX, or export it again: the "
        f"weights are whole: save(file, tree, program=export(fn, tree, example)) with tree = load({str(path)!r}).tree"
    )
    with _named(f"the program in {path} cannot be read", remedy):
        program = jax_export.deserialize(bytearray(artifact.program))
        expected = list(program.in_avals)
    leaves, _ = flatten(artifact.tree)
    arrays = [[_raw(x) for x in jax.tree.leaves(leaf)] for leaf in leaves.values()]
    expected = expected[sum(map(len, arrays)) :]
    flat, structure = jax.tree.flatten(inputs)
    if len(flat) == len(expected):
        flat = list(map(_typed, flat, expected))
    if len(flat) != len(expected) or not all(map(_fits, flat, expected)):
        raise ArtifactError(
            f"the inputs do not fit the program in {path}, which takes {', '.join(map(str, expected))}: "
            f"they are {', '.join(f'{np.asarray(x).dtype}{list(np.shape(x))}' for x in flat)}"
        )
    try:
        return program.call(arrays, jax.tree.unflatten(structure, flat))
    except (ValueError, TypeError) as error:
        raise ArtifactError(
            f"the inputs do not fit the program in {path}, which takes {', '.join(map(str, expected))}: "
            f"{_line(error)}; if they do, {remedy}"
        ) from error
    except Exception as error:  # stored bytes can fail in any way that the compiler knows
        raise ArtifactError(f"the program in {path} cannot be run: {_line(error)}; {remedy}") from error


@contextlib.contextmanager
def _named(what: str, remedy: str) -> Iterator[None]:
    """Makes any error an `ArtifactError`: stored bytes can fail in any way that the reader of JAX knows."""
    try:
        yield
    except Exception as error:
        raise ArtifactError(f"{what} by JAX {jax.__version__}: {_line(error)}; {remedy}") from error


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _raw(x: Any) -> Any:
    """Typed random keys as they are; anything else as an array."""
    return x if isinstance(x, jax.Array) else jnp.asarray(x)


def _typed(x: Any, expected: Any) -> Any:
    """Bits of a type that `.npy` files lack, such as bfloat16, in the type that the program takes."""
    array = x if isinstance(x, jax.Array) else np.asarray(x)
    dtype = np.dtype(expected.dtype) if not jnp.issubdtype(expected.dtype, jax.dtypes.extended) else None
    if dtype is None or dtype.kind != "V" or isinstance(array, jax.Array) or array.dtype.kind not in "uV":
        return array
    return array.view(dtype) if array.dtype.itemsize == dtype.itemsize else array


def _fits(x: Any, expected: Any) -> bool:
    """Whether an array has the rank, the dtype and the fixed sizes that a program takes."""
    sizes = [want for want in expected.shape if type(want) is int]
    found = [size for size, want in zip(np.shape(x), expected.shape, strict=False) if type(want) is int]
    dtype = jax.dtypes.canonicalize_dtype(x.dtype) if not jnp.issubdtype(x.dtype, jax.dtypes.extended) else x.dtype
    return len(np.shape(x)) == len(expected.shape) and sizes == found and dtype == expected.dtype


def _layout(tree: Any) -> tuple[list[int], Any, list[tuple[Any, list[jax.ShapeDtypeStruct]]]]:
    """Index in JAX's order, structure and abstract arrays of each leaf, in the order of a file."""
    leaves, treedef, places = indices(tree)
    order, shapes = list(places.values()), []
    for index in order:
        parts, structure = jax.tree.flatten(leaves[index])
        shapes.append((structure, [jax.ShapeDtypeStruct(np.shape(x), _raw(x).dtype) for x in parts]))
    return order, treedef, shapes
