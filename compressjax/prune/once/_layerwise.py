"""Shared parts of layer-by-layer methods: masks and updates from statistics of a layer's inputs."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import Compression
from compressjax.core._checks import is_concrete, read_statistics
from compressjax.core._own import is_lent
from compressjax.core._unfit import each
from compressjax.numerics import with_auto_axes
from compressjax.numerics._host import branch, on_host
from compressjax.numerics._placement import alike
from compressjax.prune.distributions._densities import densities
from compressjax.prune.patterns._checks import Distribution
from compressjax.prune.training._masking import Arrays, masking, shapes_of, whole_masks
from compressjax.tensors import Masked


class HessianInfo(NamedTuple):
    """How reliable the second moments of a leaf's inputs were when the leaf was pruned.

    Attributes:
        condition: Lower bound of the damped condition number, the maximum over a stack's layers; 0 before pruning.
        fallback: Whether a factorization failed and eigenvalues were clipped; see `hessian_condition`.
    """

    condition: jax.Array
    fallback: jax.Array


class LayerwiseState(NamedTuple):
    """State of `wanda`, `sparsegpt` and `woodfisher`.

    Attributes:
        masks: `{path: bool array}`, True where the weight is kept; all True before the statistics arrive.
        shifts: `{path: float32 array}`, updates added to kept weights; empty for methods that do not update them.
        decided: Whether the masks are final, bool scalar.
        info: `{path: HessianInfo}` of `sparsegpt`, which inverts second moments; empty for other methods.
    """

    masks: Arrays
    shifts: Arrays
    decided: jax.Array
    info: dict[str, HessianInfo]


def layerwise(
    name: str,
    prune_leaf: Callable[[str, jax.Array, Any, float | None], tuple[jax.Array, jax.Array | None, HessianInfo | None]],
    needs: tuple[str, ...],
    *,
    inverts: bool,
    sparsity: float | None = None,
    distribution: Distribution = "uniform",
) -> Compression:
    """A post-training method that decides once, at the first step with statistics.

    `prune_leaf(path, array, statistics, sparsity or None)` returns `(mask, shift, info)`; only methods that invert a
    second moment return the last two.
    """

    def init(flat: Arrays) -> LayerwiseState:
        _sparsities(flat, sparsity, distribution)  # refuses bad settings before statistics are collected
        zeros = {path: _zeros(x) for path, x in flat.items()} if inverts else {}
        info = {path: HessianInfo(jnp.zeros((), jnp.float32), jnp.array(False)) for path in zeros}
        return LayerwiseState(whole_masks(flat), zeros, jnp.array(False), info)

    def after_step(flat: Arrays, state: LayerwiseState, stats: Any) -> tuple[Arrays, LayerwiseState]:
        if stats is None and decided(state.decided):
            return flat, state
        read = read_statistics(name, needs, flat, stats)

        def decide(flat: Arrays, stats: Any) -> LayerwiseState:
            shares = _sparsities(flat, sparsity, distribution)
            found = each(name, flat, lambda path: prune_leaf(path, flat[path], stats[path], shares[path]))
            masks = {path: mask for path, (mask, _, _) in found.items()}
            shifts = {path: shift for path, (_, shift, _) in found.items() if shift is not None}
            info = {path: info for path, (_, _, info) in found.items() if info is not None}
            return LayerwiseState(masks, shifts, jnp.array(True), info)

        return flat, branch(state.decided, lambda: state, lambda: with_auto_axes(decide, state)(flat, read))

    return shifting(name, init=init, after_step=after_step, needs=needs)


def shifting(name: str, **parts: Any) -> Compression:
    """A compression whose view adds the shifts to kept weights and sets pruned weights to zero."""

    def shifted(flat: Arrays, state: LayerwiseState) -> Arrays:
        return {path: _moved(x, state.shifts.get(path), state.masks[path]) for path, x in flat.items()}

    def encode(flat: Arrays, state: LayerwiseState) -> dict[str, Masked]:
        if not is_lent():
            return {path: Masked(x, state.masks[path]) for path, x in shifted(flat, state).items()}
        return {path: _made(x, state.shifts.get(path), state.masks[path]) for path, x in flat.items()}

    return masking(name, view=shifted, encode=encode, **parts)


def _zeros(x: jax.Array) -> jax.Array:
    """No shift yet; it takes no memory where the state lives no longer than the call that decides."""
    if is_lent() and on_host(x) is not None:
        return np.broadcast_to(np.zeros((), np.float32), x.shape)  # type: ignore[return-value]
    return alike(jnp.zeros_like(x, jnp.float32), x)


# Outside of jit, one program for all leaves of a shape, and no array between the two.
@functools.partial(jax.jit, inline=True)
def _moved(x: jax.Array, shift: jax.Array | None, mask: jax.Array) -> jax.Array:
    moved = x if shift is None else (x.astype(jnp.float32) + shift).astype(x.dtype)
    return jnp.where(mask, moved, jnp.zeros((), x.dtype))


def _made(x: jax.Array, shift: jax.Array | None, mask: jax.Array) -> Masked:
    """The node of a state that nobody needs any more: its values take the place of the shift."""
    ours = isinstance(shift, jax.Array) and is_concrete(shift) and x.dtype == shift.dtype
    return Masked(_moved_in_place(x, shift, mask) if ours else _moved(x, shift, mask), mask)


_moved_in_place = jax.jit(_moved, donate_argnums=1)


def _sparsities(flat: Arrays, sparsity: float | None, distribution: Distribution) -> dict[str, float | None]:
    if sparsity is None:
        return dict.fromkeys(flat)
    shares = densities(shapes_of(flat), sparsity, distribution)
    return {path: 1.0 - share for path, share in shares.items()}


def decided(flag: jax.Array) -> bool:
    """Whether a step without statistics is valid: the masks are final, or unknown under a trace."""
    return isinstance(flag, jax.core.Tracer) or bool(flag)
