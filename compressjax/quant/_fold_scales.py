"""Moves the input scales of kernels into the layer that writes their inputs."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from compressjax.core import is_node
from compressjax.core._layout import Layouts, check_layouts, layout_of, using
from compressjax.quant._edit import Edit, by_path
from compressjax.tensors import Scaled


def fold_scales(
    tree: Any, pairs: Mapping[str | tuple[str, ...], str | Sequence[str]], *, layout: Layouts | None = None
) -> Any:
    """Multiplies the outputs of a layer by the input scale of the kernels that read it, which then need none.

    .. math:: (x / s) (s W) \\quad\\text{with}\\quad x / s = \\mathrm{norm}(h; \\gamma / s, \\beta / s)

    Exact where the outputs of the writer reach these readers only, through operations that scale with their input
    (reshapes, relu): after a norm layer, or from a value projection to the output projection. The caller names them.

    Args:
        tree: A tree from `smooth_quant` or `awq` with `shared=` groups.
        pairs: Value paths of a writer (its kernel or norm scale, and its bias) to those of its readers:
            `{("norm/scale", "norm/bias"): ("q/kernel", "k/kernel", "v/kernel")}`.
        layout: As for `compress`; tells the output axis of kernels among the writers.

    Returns:
        The tree: readers without `Scaled`, writers scaled. A writer that is a node becomes `Scaled`.

    Raises:
        ValueError: If a path is absent, readers have no scale or different ones, or a writer has another size.

    Example:
        >>> tree = {"norm": jnp.array([1.0, 1.0]), "kernel": Scaled(jnp.ones((2, 1)), jnp.array([[0.5], [2.0]]))}
        >>> folded = fold_scales(tree, {"norm": "kernel"})
        >>> folded["norm"].tolist(), folded["kernel"].tolist()
        ([0.5, 2.0], [[1.0], [1.0]])

    Source: Xiao et al., arXiv:2211.10438 (xiao2023).
    """
    edit = Edit("fold_scales", tree)
    groups = by_path(pairs)
    scales = [_taken(edit, readers) for _, readers in groups]
    with using(None if layout is None else check_layouts(layout)):
        for (writers, _), scale in zip(groups, scales, strict=True):
            for path in writers:
                edit[path] = _written(path, edit[path], scale)
    return edit.tree()


def _taken(edit: Edit, names: tuple[str, ...]) -> np.ndarray:
    """The common input scale of some readers, which lose it."""
    scales = []
    for path in names:
        x = edit[path]
        if not isinstance(x, Scaled) or path in edit.new:
            raise ValueError(
                f"fold_scales: {path!r} has no input scale (any more); use smooth_quant or awq, and name it once"
            )
        scales.append(np.asarray(x.scale, np.float32).ravel())
        edit[path] = x.inner
    if any(s.shape != scales[0].shape or (s != scales[0]).any() for s in scales):
        raise ValueError(f"fold_scales: {list(names)} have different input scales; quantize them with shared=[{names}]")
    return scales[0]


def _written(path: str, x: Any, scale: np.ndarray) -> Any:
    """A writer with scaled outputs."""
    outputs = (0,) if len(x.shape) == 1 else layout_of(path, tuple(x.shape)).outputs
    sizes = [x.shape[a] for a in outputs]
    if int(np.prod(sizes)) != scale.size:
        raise ValueError(
            f"fold_scales: {path!r} of shape {tuple(x.shape)} writes {int(np.prod(sizes))} numbers, its readers scale "
            f"{scale.size} inputs; name the layer before them"
        )
    block = jnp.asarray(scale.reshape(sizes))
    block = jnp.expand_dims(block, tuple(a for a in range(len(x.shape)) if a not in outputs))
    return Scaled(x, block) if is_node(x) else (x * block).astype(x.dtype)
