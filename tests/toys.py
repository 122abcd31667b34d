"""The smallest compressions of each kind, so that core is tested without the methods that are built on it."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import core, tensors
from compressjax.numerics._numerics import straight_through
from compressjax.numerics._top import top_mask


class MaskState(NamedTuple):
    """Masks by path."""

    mask: dict[str, jax.Array]


def mask(fraction: float = 0.5) -> core.Compression:
    """Keeps the largest entries; the masks are all true before the first update."""

    def after_step(flat: dict[str, Any], state: MaskState, stats: Any) -> tuple[dict[str, Any], MaskState]:
        del state, stats
        kept = {path: top_mask(jnp.abs(x), round(x.size * fraction)) for path, x in flat.items()}
        return flat, MaskState(kept)

    return core.on_values(
        "toy.mask",
        init=lambda flat: MaskState({path: jnp.ones(x.shape, bool) for path, x in flat.items()}),
        masks=lambda flat, state: core.Masks(state.mask),
        encode=lambda flat, state: {path: tensors.Masked(x, state.mask[path]) for path, x in flat.items()},
        after_step=after_step,
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


class RangeState(NamedTuple):
    """A range for every leaf, by path."""

    range: dict[str, jax.Array]


@core.node
class Ranged(core.Node):
    """A kernel whose products round activations to 8 bits within a range, which learns: a node that a view shows."""

    value: Any = core.value(aligned=True)
    range: Any = core.value()

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the kernel."""
        return tuple(self.value.shape)

    @property
    def dtype(self) -> np.dtype:
        """Of the kernel."""
        return np.dtype(self.value.dtype)

    def materialize(self) -> jax.Array:
        """The kernel."""
        return core.dense(self.value)

    def size_bits(self, kept: int | None = None) -> int:
        """Of both fields."""
        return core.entry_bits(self.value, kept) + core.entry_bits(self.range)

    def dot(self, x: jax.Array, product: core.Product) -> jax.Array:
        """The product with rounded activations; what the range cuts off is what it learns from."""
        inside, step = jnp.clip(x, -self.range, self.range), self.range / 127
        return product.dense(straight_through(inside, jnp.round(inside / step) * step), self.materialize())


def ranged(start: float = 1.0, rate: float = 0.1) -> core.Compression:
    """Views nodes; their ranges lie in the state and learn by its gradients."""

    def nodes(flat: dict[str, Any], state: RangeState) -> dict[str, Any]:
        return {path: Ranged(x, state.range[path]) for path, x in flat.items()}

    return core.on_values(
        "toy.ranged",
        init=lambda flat: RangeState(dict.fromkeys(flat, jnp.float32(start))),
        view=nodes,
        encode=nodes,
        learn=lambda slopes, state: RangeState({p: r - rate * slopes.range[p] for p, r in state.range.items()}),
        learns=True,
    )


class LearnerState(NamedTuple):
    """A score for every entry, by path."""

    score: dict[str, jax.Array]


def learner(rate: float = 0.5) -> core.Compression:
    """A mask of positive scores, which learn from the dense gradient; what is masked goes to zero."""

    def masks(flat: dict[str, Any], state: LearnerState) -> core.Masks:
        del flat
        return core.Masks({path: score > 0 for path, score in state.score.items()})

    def before_step(grads: dict[str, Any], flat: dict[str, Any], state: LearnerState) -> tuple[Any, LearnerState]:
        moved = {path: s - rate * grads[path] * flat[path] for path, s in state.score.items()}
        return core.zero_masked(grads, masks(flat, state).used), LearnerState(moved)

    return core.on_values(
        "toy.learner",
        init=lambda flat: LearnerState({path: jnp.ones_like(x) for path, x in flat.items()}),
        masks=masks,
        encode=lambda flat, state: {path: tensors.Masked(x, state.score[path] > 0) for path, x in flat.items()},
        before_step=before_step,
        after_step=lambda flat, state, stats: (core.zero_masked(flat, masks(flat, state).used), state),
        learns=True,
    )
