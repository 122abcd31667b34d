"""`repair`: biases and running statistics of a smaller model, from a few batches."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import materialize, values, with_values
from compressjax.core._checks import check_finite
from compressjax.interpret import couplings
from compressjax.interpret.jaxpr._compiled import Compiled
from compressjax.structure._moments import BIAS, MEAN, Moments, Site, moments_of, together
from compressjax.structure._shrink import Shrunk
from compressjax.structure._units import removed


class Repaired(NamedTuple):
    """Weights with repaired biases and statistics.

    Attributes:
        params: The smaller weights.
        shifts: By path, the largest change that the repair made: of biases and means in standard deviations of their
            inputs, of variances as a share.
        rounds: Number of passes over the batches.
    """

    params: Any
    shifts: dict[str, float]
    rounds: int


def repair(
    fn: Callable[..., Any], before: Any, after: Any, batches: Iterable[Any], *, tolerance: float = 1e-3,
    rounds: int | None = None,
) -> Repaired:  # fmt: skip
    """Repairs biases and running statistics of a smaller model, so that the mean of their inputs is what it was.

    A cut changes the mean of what later layers receive. With `x` the input of a bias `b`, or of a running mean `m` and
    variance `v`, in the model before and `x'` in the smaller one, over all rows of the batches,

    .. math:: b' = b + E[x] - E[x'], \\quad m' = m + E[x'] - E[x], \\quad v' = v \\, Var[x'] / Var[x]

    which is the least-squares solution for a bias, and the re-estimated statistics of the smaller model where the old
    ones are those of the batches. Leaves are found by what the function does with them, in loops over layers as well;
    those that are used several times (shared layers, recurrent cells) stay, since one value cannot suit all uses. A
    pass over the batches repairs all leaves at once; it is repeated, since each repair changes what later leaves
    receive, until nothing moves. Needs no labels and no gradients; memory is that of one batch.

    Args:
        fn: The function of the weights before.
        before: The weights before.
        after: The result of `shrink`, or weights of the same shapes, such as masked or quantized ones.
        batches: Arguments of `fn` after the weights: a tuple for each batch, or an array.
        tolerance: Passes end when no leaf moves by more, in the units of `Repaired.shifts`.
        rounds: Largest number of passes; None takes the number of leaves, layers of a stack included, after which the
            repair is exact.

    Returns:
        The repaired weights, to be used with the function of `after`.

    Raises:
        ValueError: If there is no batch, nothing to repair, or an input of a bias is not finite.

    Example:
        >>> p = {"a": jnp.eye(2), "b": jnp.zeros(2), "c": jnp.ones((2, 1)), "d": jnp.zeros(1)}
        >>> fn = lambda p, x: jax.nn.relu(x @ p["a"] + p["b"][None]) @ p["c"] + p["d"][None]
        >>> small = p | {"c": jnp.array([[1.0], [0.0]])}
        >>> repair(fn, p, small, [jnp.array([[0.0, 2.0], [0.0, 4.0]])]).params["d"].tolist()
        [3.0]

    Source: Nagel et al., arXiv:1906.04721 (bias correction).
    """
    data = [tuple(batch) if isinstance(batch, tuple | list) else (batch,) for batch in batches]
    if not data:
        raise ValueError("repair: there are no batches; give at least one")
    smaller, small_fn = (after.params, after.fn) if isinstance(after, Shrunk) else (after, fn)
    gone = removed(couplings(fn)(before, *data[0]), after.kept) if isinstance(after, Shrunk) else {}
    whole = _measured(Compiled(moments_of(fn)), before, data)
    wanted = {site: _cut(m, gone.get(site[0], {})) for site, m in whole.items()}
    flat = values(smaller)
    fit = {site for site, m in wanted.items() if m.uses == 1 and _shape(flat, site[0]) == m.mean.shape}
    wanted = {site: m for site, m in wanted.items() if site in fit}
    if not wanted:
        raise ValueError(
            "repair: the function adds no bias to data and reads no running statistics; there is nothing to repair"
        )
    old = {path: np.asarray(flat[path], np.float64) for path, _ in wanted}
    most = sum(1 if x.ndim < 2 else len(x) for x in old.values()) if rounds is None else rounds
    run, new, done, move = Compiled(moments_of(small_fn)), old, 0, np.inf
    while move > tolerance and done < most:
        found, last = _measured(run, _with(smaller, new), data), new
        new = {s[0]: _solved(s[1], old[s[0]], m, found.get(s, m)) for s, m in wanted.items()}
        move, done = _moved(wanted, last, new), done + 1
    shifts = {site[0]: _moved({site: m}, old, new) for site, m in wanted.items()}
    return Repaired(_with(smaller, new), shifts, done)


def _shape(flat: Mapping[str, Any], path: str) -> Any:
    return tuple(flat[path].shape) if path in flat else None


def _with(tree: Any, leaves: Mapping[str, np.ndarray]) -> Any:
    kinds = values(tree)
    return with_values(tree, {path: jnp.asarray(x, kinds[path].dtype) for path, x in leaves.items()})


def _measured(run: Callable[..., Any], params: Any, data: Sequence[tuple[Any, ...]]) -> dict[Site, Moments]:
    """Moments over all batches, in double precision on the host."""
    dense = materialize(params)
    found = [jax.tree.map(lambda x: np.asarray(x, np.float64), run(dense, *batch)) for batch in data]
    out = {s: together(jax.tree.map(lambda *xs: np.stack(xs), *(each[s] for each in found))) for s in found[0]}
    for (path, _), moments in out.items():
        check_finite("repair", path, moments.squares, "moments of its inputs", "fix the weights or the data")
    return out


def _cut(moments: Moments, gone: Mapping[int, np.ndarray]) -> Moments:
    """Moments at the positions that are kept."""
    mean, squares = moments.mean, moments.squares
    for axis, positions in gone.items():
        mean, squares = (np.delete(x, positions, axis) for x in (mean, squares))
    return moments._replace(mean=mean, squares=squares)


def _solved(role: str, old: np.ndarray, before: Moments, after: Moments) -> np.ndarray:
    """The repaired leaf."""
    if role == BIAS:
        return old + before.mean - after.mean
    if role == MEAN:
        return old + after.mean - before.mean
    varied = before.variance > 0
    return np.where(varied, old * after.variance / np.where(varied, before.variance, 1.0), old)


def _moved(wanted: Mapping[Site, Moments], old: Mapping[str, np.ndarray], new: Mapping[str, np.ndarray]) -> float:
    """The largest move of a leaf: in standard deviations of its input, or as a share of a variance."""
    largest = 0.0
    for (path, role), moments in wanted.items():
        unit = np.sqrt(moments.variance) if role in (BIAS, MEAN) else np.abs(old[path])
        unit = np.maximum(unit, max(float(unit.mean()), 1e-30) * 1e-3)
        largest = max(largest, float((np.abs(new[path] - old[path]) / unit).max(initial=0.0)))
    return largest
