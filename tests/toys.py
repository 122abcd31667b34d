"""The smallest compressions of each kind, so that core is tested without the methods that are built on it."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax import core, numerics, tensors


class MaskState(NamedTuple):
    """Masks by path."""

    mask: dict[str, jax.Array]


def mask(fraction: float = 0.5) -> core.Compression:
    """Keeps the largest entries; the masks are all true before the first update."""

    def zeroed(flat: dict[str, Any], state: MaskState) -> dict[str, Any]:
        return {path: jnp.where(state.mask[path], x, jnp.zeros((), x.dtype)) for path, x in flat.items()}

    def update(state: MaskState, flat: dict[str, Any], grads: Any, stats: Any) -> MaskState:
        del state, grads, stats
        return MaskState({path: numerics.top_mask(jnp.abs(x), round(x.size * fraction)) for path, x in flat.items()})

    return core.on_values(
        "toy.mask",
        init=lambda flat: MaskState({path: jnp.ones(x.shape, bool) for path, x in flat.items()}),
        update=update,
        view=zeroed,
        encode=lambda flat, state: {path: tensors.Masked(x, state.mask[path]) for path, x in flat.items()},
        constrain=zeroed,
    )


def grid(step: float = 0.25) -> core.Compression:
    """Rounds to multiples of a power of two: exact in every float format."""

    def encode(path: str, x: jax.Array, stats: Any) -> tensors.Quantized:
        del path, stats
        codes = jnp.clip(jnp.round(x.astype(jnp.float32) / step), -127, 127).astype(jnp.int8)
        return tensors.Quantized(codes, jnp.full((1,) * x.ndim, step, jnp.float32), dtype_name=str(x.dtype))

    return core.from_encode("toy.grid", encode)


def factor() -> core.Compression:
    """Full-rank factors with no arithmetic: the kernel times the identity."""

    def encode(path: str, x: jax.Array, stats: Any) -> tensors.LowRank:
        del path, stats
        return tensors.LowRank(x, jnp.eye(x.shape[-1], dtype=x.dtype), inputs=x.ndim - 1)

    return core.from_encode("toy.factor", encode)


def weighted() -> core.Compression:
    """Scales each input row by a statistic that it needs."""
    return core.from_encode("toy.weighted", lambda path, x, stats: x * stats["norm"][:, None], needs=("norm",))


class LearnerState(NamedTuple):
    """A score for every entry, by path."""

    score: dict[str, jax.Array]


def learner(rate: float = 0.5) -> core.Compression:
    """A mask of positive scores, which learn from the dense gradient; what is masked goes to zero."""

    def kept(flat: dict[str, Any], state: LearnerState) -> dict[str, Any]:
        return {path: jnp.where(state.score[path] > 0, x, jnp.zeros((), x.dtype)) for path, x in flat.items()}

    def view(flat: dict[str, Any], state: LearnerState) -> dict[str, Any]:
        return {path: numerics.straight_through(x, kept({path: x}, state)[path]) for path, x in flat.items()}

    def receive(grads: dict[str, Any], flat: dict[str, Any], state: LearnerState) -> tuple[Any, LearnerState]:
        moved = {path: s - rate * grads[path] * flat[path] for path, s in state.score.items()}
        return kept(grads, state), LearnerState(moved)

    return core.on_values(
        "toy.learner",
        init=lambda flat: LearnerState({path: jnp.ones_like(x) for path, x in flat.items()}),
        view=view,
        encode=lambda flat, state: {path: tensors.Masked(x, state.score[path] > 0) for path, x in flat.items()},
        constrain=kept,
        receive=receive,
        project=kept,
    )
