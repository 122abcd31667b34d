"""One array for several layers, and what that costs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax

from compressjax.core import Compression, kernels, matches, on_values, values, with_values
from compressjax.core._unfit import UnfitError
from compressjax.numerics._numerics import wide

Arrays = dict[str, jax.Array]


class TyingLoss(NamedTuple):
    """What tying one group of leaves costs.

    Attributes:
        paths: Leaves of the group.
        loss: Loss when these leaves, and no others, are their mean.
        change: `loss` minus the loss of the parameters as they are.
        saved_bytes: Bytes of all leaves of the group but one.
    """

    paths: tuple[str, ...]
    loss: float
    change: float
    saved_bytes: int


def tied(*groups: str) -> Compression:
    """Uses one array for all leaves of a group: their mean.

    .. math:: \\hat W_l = \\frac{1}{|G|} \\sum_{k \\in G} W_k \\quad \\forall l \\in G

    Under `as_optax`, all leaves of a group receive the mean gradient and stay equal from the first step on. `encode`
    puts the same array at every path, and files store it once. `tying_losses` says which groups cost little.

    Args:
        *groups: Regular expressions for whole value paths; the leaves of one have one shape and dtype. Without any,
            leaves of equal shape and dtype are a group.

    Returns:
        Compression whose results are dense arrays.

    Raises:
        ValueError: `UnfitError` for leaves of no group, or of another shape than the first of theirs.

    Example:
        >>> import jax.numpy as jnp
        >>> from compressjax.core import compress
        >>> params = {"a": jnp.zeros((1, 2)), "b": jnp.ones((1, 2))}
        >>> small = compress(params, {".*": tied()})
        >>> small["b"].tolist(), small["a"] is small["b"]
        ([[0.5, 0.5]], True)

    Source: Lan et al., ALBERT, arXiv:1909.11942 (lan2020).
    """

    def encode(flat: Arrays, state: Any) -> Arrays:
        del state
        out: Arrays = {}
        for paths in grouped(flat, groups):
            out |= dict.fromkeys(paths, _mean([flat[path] for path in paths]))
        return out

    return on_values(f"tied{groups}", encode=encode, view=encode)


def grouped(flat: Mapping[str, Any], groups: Sequence[str]) -> list[list[str]]:
    """Paths by group."""
    found: dict[Any, list[str]] = {}
    reasons = {}
    for path, x in flat.items():
        kind = tuple(x.shape), str(x.dtype)
        key = next((group for group in groups if matches(group, path, x)), None) if groups else kind
        if key is None:
            reasons[path] = f"it is in none of the groups {groups}"
            continue
        first = found.setdefault(key, [path])
        if first[0] == path:
            continue
        if (tuple(flat[first[0]].shape), str(flat[first[0]].dtype)) != kind:
            reasons[path] = f"its shape and dtype {kind} are not those of {first[0]!r}"
            continue
        first.append(path)
    if reasons:
        raise UnfitError("tied", reasons)
    return list(found.values())


def _mean(arrays: list[jax.Array]) -> jax.Array:
    total = wide(arrays[0])
    for x in arrays[1:]:
        total = total + wide(x)
    return (total / len(arrays)).astype(arrays[0].dtype)


def tying_losses(loss: Callable[[Any], jax.Array], params: Any, *groups: str) -> list[TyingLoss]:
    """Returns the loss with each group tied alone, cheapest first.

    .. math:: \\Delta_G = L(W \\text{ with } W_l = \\bar W_G \\; \\forall l \\in G) - L(W)

    Args:
        loss: `params -> scalar`; its data are bound.
        params: Tree of arrays; leaves that are no kernels are left alone.
        *groups: As for `tied`; without any, kernels of equal shape. Pairs of one group can be given as `"a|b"`.

    Returns:
        A row per group of at least two leaves, by rising change.

    Raises:
        ValueError: If there is no such group, or a leaf has another shape than the first of its group.

    Example:
        >>> import jax.numpy as jnp
        >>> params = {"a": jnp.zeros((1, 2)), "b": jnp.ones((1, 2))}
        >>> tying_losses(lambda p: jnp.sum((p["a"] - p["b"] + 1) ** 2), params)[0].change
        2.0

    Source: Lan et al., ALBERT, arXiv:1909.11942 (lan2020).
    """
    flat = {path: x for path, x in values(params).items() if kernels(path, x)}
    if groups:
        flat = {path: x for path, x in flat.items() if any(matches(group, path, x) for group in groups)}
    found = [paths for paths in grouped(flat, groups) if len(paths) > 1]
    if not found:
        shapes = {path: tuple(x.shape) for path, x in list(flat.items())[:8]}
        raise ValueError(
            f"tying_losses: no two kernels can be tied; the shapes are {shapes}: name groups of equal shape"
        )
    run = jax.jit(loss)
    base, rows = float(run(params)), []
    for paths in found:
        shared = _mean([flat[path] for path in paths])
        after = float(run(with_values(params, dict.fromkeys(paths, shared))))
        rows.append(TyingLoss(tuple(paths), after, after - base, (len(paths) - 1) * int(shared.nbytes)))
    return sorted(rows, key=lambda row: row.change)
