"""Adam and momentum whose moments are kept in 8 bits."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from compressjax.core._settings import integers, numbers
from compressjax.precision._blocks import CODES, Blocks, pack, unpack


class Adam8State(NamedTuple):
    """State of `scale_by_adam_8bit`: steps, and both moments as trees of codes and of the scales of blocks.

    Leaves that are too small have their moments in float32, and no scales.
    """

    step: jax.Array
    mu: Any
    nu: Any
    mu_scale: Any
    nu_scale: Any


class Trace8State(NamedTuple):
    """State of `trace_8bit`: the momentum as trees of codes and of the scales of blocks."""

    trace: Any
    scale: Any


class _Coder(NamedTuple):
    """How moments are kept."""

    block: int
    code: str
    min_size: int

    def start(self, params: Any, signed: bool) -> tuple[Any, Any]:
        return self.keep(jax.tree.map(lambda p: jnp.zeros(p.shape, jnp.float32), params), signed)

    def keep(self, tree: Any, signed: bool) -> tuple[Any, Any]:
        leaves, structure = jax.tree.flatten(tree)
        kept = [pack(x, self.block, self.code, signed) if x.size >= self.min_size else Blocks(x, jnp.zeros(0))
                for x in leaves]  # fmt: skip
        return (
            jax.tree.unflatten(structure, [x.codes for x in kept]),
            jax.tree.unflatten(structure, [x.scale for x in kept]),
        )

    def read(self, codes: Any, scales: Any) -> Any:
        def leaf(codes: jax.Array, scale: jax.Array) -> jax.Array:
            return codes if codes.dtype == jnp.float32 else unpack(Blocks(codes, scale), self.block, self.code)

        return jax.tree.map(leaf, codes, scales)


def scale_by_adam_8bit(
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    *,
    block: int = 2048,
    code: str = "dynamic",
    min_size: int = 4096,
) -> optax.GradientTransformation:
    """Returns `optax.scale_by_adam` with both moments in 8 bits.

    .. math:: m = b_1 \\hat m + (1 - b_1) g, \\quad v = b_2 \\hat v + (1 - b_2) g^2, \\quad
        u = \\frac{m / (1 - b_1^t)}{\\sqrt{v / (1 - b_2^t)} + \\epsilon}, \\quad
        \\hat m, \\hat v \\leftarrow Q(m), Q(v)

    The update is made before the moments are rounded. A block of entries shares its largest magnitude; the dynamic code
    has seven powers of ten below it. A positive second moment never becomes zero, which the published code allows:
    where a gradient stops, the first moment would then be divided by `eps`. Codes have the shapes of the parameters,
    and code 0 is 0, so that masks of `as_optax` and shardings act on them as on moments.

    Args:
        b1: Decay of the first moment, in [0, 1).
        b2: Decay of the second moment, in [0, 1).
        eps: Added to the root, positive.
        block: Entries that share a scale, at least 2.
        code: `"dynamic"` or `"linear"`.
        min_size: Leaves with fewer entries keep float32.

    Returns:
        A transformation; chain it with `optax.scale_by_learning_rate`. State of `2 (1 + 4 / block)` bytes an entry.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> tx = scale_by_adam_8bit(min_size=0)
        >>> params = {"kernel": jnp.ones((64, 64))}
        >>> updates, state = tx.update(params, tx.init(params))
        >>> state.mu["kernel"].dtype.name, round(float(updates["kernel"][0, 0]), 3)
        ('int8', 1.0)

    Source: Dettmers et al., arXiv:2110.02861 (dettmers2022).
    """
    b1, b2, eps = numbers("scale_by_adam_8bit", b1=b1, b2=b2, eps=eps)
    if not 0 <= b1 < 1 or not 0 <= b2 < 1 or not eps > 0:
        raise ValueError(f"scale_by_adam_8bit: b1={b1} and b2={b2} must be in [0, 1), and eps={eps} positive")
    coder = _coder("scale_by_adam_8bit", block, code, min_size)

    def init(params: Any) -> Adam8State:
        (mu, mu_scale), (nu, nu_scale) = coder.start(params, True), coder.start(params, False)
        return Adam8State(jnp.zeros((), jnp.int32), mu, nu, mu_scale, nu_scale)

    def update(grads: Any, state: Adam8State, params: Any = None) -> tuple[Any, Adam8State]:
        del params
        g = jax.tree.map(lambda x: x.astype(jnp.float32), grads)
        mu = jax.tree.map(lambda m, x: b1 * m + (1 - b1) * x, coder.read(state.mu, state.mu_scale), g)
        nu = jax.tree.map(lambda v, x: b2 * v + (1 - b2) * x**2, coder.read(state.nu, state.nu_scale), g)
        count = state.step + 1
        first, second = 1 - b1**count, 1 - b2**count
        updates = jax.tree.map(
            lambda m, v, x: (m / first / (jnp.sqrt(v / second) + eps)).astype(x.dtype), mu, nu, grads
        )
        (mu, mu_scale), (nu, nu_scale) = coder.keep(mu, True), coder.keep(nu, False)
        return updates, Adam8State(count, mu, nu, mu_scale, nu_scale)

    return optax.GradientTransformation(init, update)


def trace_8bit(
    decay: float = 0.9, *, nesterov: bool = False, block: int = 2048, code: str = "dynamic", min_size: int = 4096
) -> optax.GradientTransformation:
    """Returns `optax.trace`, the momentum of SGD, in 8 bits.

    .. math:: m = d\\, \\hat m + g, \\quad u = m, \\quad \\hat m \\leftarrow Q(m)

    Args:
        decay: Decay `d`, in [0, 1).
        nesterov: Whether the update is `d m + g`.
        block: As for `scale_by_adam_8bit`, as are all that follow.
        code: `"dynamic"` or `"linear"`.
        min_size: Leaves with fewer entries keep float32.

    Returns:
        A transformation; chain it with `optax.scale_by_learning_rate`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> tx = trace_8bit(0.5, min_size=0, block=4)
        >>> grads = {"kernel": jnp.ones((2, 2))}
        >>> _, state = tx.update(grads, tx.init(grads))
        >>> tx.update(grads, state)[0]["kernel"].tolist()
        [[1.5, 1.5], [1.5, 1.5]]

    Source: Dettmers et al., arXiv:2110.02861 (dettmers2022).
    """
    (decay,) = numbers("trace_8bit", decay=decay)
    if not 0 <= decay < 1:
        raise ValueError(f"trace_8bit: decay={decay} must be in [0, 1)")
    coder = _coder("trace_8bit", block, code, min_size)

    def update(grads: Any, state: Trace8State, params: Any = None) -> tuple[Any, Trace8State]:
        del params
        moved = jax.tree.map(
            lambda m, g: decay * m + g.astype(jnp.float32), coder.read(state.trace, state.scale), grads
        )
        updates = jax.tree.map(lambda m, g: (decay * m + g if nesterov else m).astype(g.dtype), moved, grads)
        return updates, Trace8State(*coder.keep(moved, True))

    return optax.GradientTransformation(lambda params: Trace8State(*coder.start(params, True)), update)


def _coder(who: str, block: int, code: str, min_size: int) -> _Coder:
    block, min_size = integers(who, block=block, min_size=min_size)
    if code not in CODES or block < 2 or min_size < 0:
        raise ValueError(f"{who}: code={code!r} must be one of {', '.join(CODES)}, block={block} at least 2, and "
                         f"min_size={min_size} not negative")  # fmt: skip
    return _Coder(block, code, min_size)
