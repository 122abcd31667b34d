"""L0 regularization: gates that learn the probability of being exactly zero."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from compressjax.core import Compression, Masks, dense_gradient, on_values, zero_masked
from compressjax.core._learn import Strength, at_step, learn
from compressjax.core._settings import as_number, integers
from compressjax.numerics._hard_concrete import expected_l0, final_gate, hard_concrete
from compressjax.numerics._keys import key_data, stream
from compressjax.prune.patterns._checks import check_strength
from compressjax.prune.training._masking import Arrays, masked_nodes
from compressjax.tensors import Masked


class L0State(NamedTuple):
    """State of `l0`: `log_alpha` and the test-time `gates` by path, with size 1 on axes that share a gate."""

    count: jax.Array  # type: ignore[assignment]  # hides tuple.count, as optax's states do
    key: jax.Array
    log_alpha: Arrays
    gates: Arrays
    inner: Any


def l0(
    penalty: Strength,
    key: jax.Array,
    *,
    end: int,
    units: int | None = None,
    keep: float = 0.5,
    optimizer: optax.GradientTransformation | None = None,
) -> Compression:
    """Multiplies every weight or unit by a hard-concrete gate, and penalizes open gates (L0 regularization).

    .. math:: s = \\sigma((\\log u - \\log(1 - u) + \\log\\alpha) / \\beta), \\quad z = clip(s\\,(\\zeta - \\gamma)
        + \\gamma,\\ 0,\\ 1), \\quad \\hat W = z \\odot W, \\quad
        R = \\lambda \\sum_g |g|\\,\\sigma(\\log\\alpha_g - \\beta \\log(-\\gamma / \\zeta))

    with `u` uniform, `beta = 2/3`, `gamma = -0.1`, `zeta = 1.1`; `R` is `lambda` times the expected number of used
    weights. Every step draws new gates, and gradients flow through them exactly. From `end` on the gates are fixed at
    `clip(sigmoid(log alpha) (zeta - gamma) + gamma, 0, 1)`, the values that are stored. Saves bytes as `gradual`; no
    speed-up, but `structure` can remove the units that `units` sets to zero.

    Args:
        penalty: The factor `lambda` per weight, at least 0, or a function of the step; at most `0.1 / N` in the paper,
            with `N` training examples and the mean loss.
        key: PRNG key of the gates' noise and initial values.
        end: Step from which gates are deterministic.
        units: Axis whose entries have one gate each (0: inputs of a dense kernel, -1: outputs); None for a gate per
            weight.
        keep: Initial value of `sigmoid(log alpha)`, in (0, 1).
        optimizer: Optimizer of the gates; `optax.adam(1e-3)`, as in the paper, if None.

    Returns:
        Compression with nodes `Masked(z W, z > 0)`.

    Raises:
        ValueError: If a setting is out of range; from `init`, if a leaf lacks the axis `units`.

    Example:
        >>> gated = l0(0.0, jax.random.key(0), end=0, keep=0.999)
        >>> params = {"kernel": jnp.array([[3.0, -1.0]])}
        >>> gated.view(params, gated.init(params))["kernel"].tolist()
        [[3.0, -1.0]]

    Source: Louizos et al., arXiv:1712.01312 (louizos2018).
    """
    penalty = check_strength("l0", "penalty", penalty, "below, open gates would pay; the paper has 0.1 / N")
    keep, (end, units) = as_number("l0", "keep", keep), integers("l0", end=end, units=units)
    if not 0.0 < keep < 1.0 or end < 0:
        raise ValueError(f"l0: keep={keep} must be in (0, 1) and end={end} at least 0")
    return _gated(penalty, key_data(key), end, units, keep, optax.adam(1e-3) if optimizer is None else optimizer)


def _gated(
    penalty: Strength, data: jax.Array, end: int, units: int | None, keep: float, moves: optax.GradientTransformation
) -> Compression:
    def init(flat: Arrays) -> L0State:
        start = math.log(keep) - math.log1p(-keep)
        log_alpha = {}
        for path, x in flat.items():
            # A little noise breaks the symmetry of equal gates.
            shape = gate_shape(path, tuple(x.shape), units)
            log_alpha[path] = start + 0.01 * jax.random.normal(stream(data, path, 2**31 - 1), shape, jnp.float32)
        gates = {path: final_gate(a) for path, a in log_alpha.items()}
        return L0State(jnp.zeros((), jnp.int32), jnp.copy(data), log_alpha, gates, moves.init(log_alpha))

    def drawn(state: L0State) -> Arrays:
        """The gates of this step."""
        found = {}
        for path, a in state.log_alpha.items():
            u = _uniform(state, path, a.shape)
            found[path] = jnp.where(state.count < end, hard_concrete(a, u), state.gates[path])
        return found

    def before_step(grads: Arrays, flat: Arrays, state: L0State) -> tuple[Arrays, L0State]:
        slopes = {}
        for path, g in grads.items():
            a = state.log_alpha[path]
            u, wide = _uniform(state, path, a.shape), g.astype(jnp.float32) * flat[path].astype(jnp.float32)

            def cost(a: jax.Array, u: jax.Array = u, wide: jax.Array = wide) -> jax.Array:
                share = wide.size // max(a.size, 1)
                return jnp.sum(wide * hard_concrete(a, u)) + at_step(penalty, state.count) * share * expected_l0(a)

            slopes[path] = jax.grad(cost)(a)
        moved, inner = learn(moves, slopes, state.inner, state.log_alpha)
        sampling = state.count < end
        log_alpha, inner = jax.tree.map(
            lambda new, old: jnp.where(sampling, new, old), (moved, inner), (state.log_alpha, state.inner)
        )
        return _times(grads, drawn(state)), state._replace(log_alpha=log_alpha, inner=inner)

    def masks(flat: Arrays, state: L0State) -> Masks:
        return Masks({path: _open(state, path, x) | (state.count < end) for path, x in flat.items()})

    def encode(flat: Arrays, state: L0State) -> dict[str, Masked]:
        return masked_nodes(_times(flat, state.gates), {path: _open(state, path, x) for path, x in flat.items()})

    def view(flat: Arrays, state: L0State) -> Arrays:
        return dense_gradient(flat, zero_masked(_times(flat, drawn(state)), masks(flat, state).used))

    def after_step(flat: Arrays, state: L0State, stats: Any) -> tuple[Arrays, L0State]:
        step = state.count + 1
        gates = {path: jnp.where(step <= end, final_gate(a), state.gates[path]) for path, a in state.log_alpha.items()}
        return flat, state._replace(count=step, gates=gates)

    return on_values(
        f"l0(end={end}, units={units})",
        init=init,
        view=view,
        encode=encode,
        masks=masks,
        before_step=before_step,
        after_step=after_step,
        learns=True,
    )


def gate_shape(path: str, shape: tuple[int, ...], units: int | None) -> tuple[int, ...]:
    """Shape of a leaf's gates: one per entry, or one per unit of an axis."""
    if units is None:
        return shape
    if not -len(shape) <= units < len(shape):
        raise ValueError(f"l0: units={units}, but {path!r} has {len(shape)} axes; choose one of them, or other leaves")
    return tuple(n if i == units % len(shape) else 1 for i, n in enumerate(shape))


def _uniform(state: L0State, path: str, shape: tuple[int, ...]) -> jax.Array:
    # Away from 0 and 1, where the logarithms are infinite.
    return jax.random.uniform(stream(state.key, path, state.count), shape, jnp.float32, minval=1e-6, maxval=1 - 1e-6)


def _times(flat: Arrays, gates: Arrays) -> Arrays:
    return {path: (x.astype(jnp.float32) * gates[path]).astype(x.dtype) for path, x in flat.items()}


def _open(state: L0State, path: str, like: jax.Array) -> jax.Array:
    return jnp.broadcast_to(state.gates[path] > 0, like.shape)
