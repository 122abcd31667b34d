"""Inputs made from a trained network: what its normalization layers remember of the data."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from compressjax.core._settings import numbers
from compressjax.numerics._numerics import root


class Moments(NamedTuple):
    """Mean and variance of every channel."""

    mean: jax.Array
    variance: jax.Array


def norm_moments(
    module: nn.Module, variables: Any, x: jax.Array, *args: Any, **kwargs: Any
) -> dict[str, tuple[Moments, Moments]]:
    """Returns the moments of what every BatchNorm of a Linen module reads, and those that it remembers.

    Moments are over all axes but those that the layer keeps (`BatchNorm.axis`), and where its mask says so.

    Args:
        module: Linen module with `nn.BatchNorm` layers, called in inference mode.
        variables: Its variables, `batch_stats` among them.
        x: Input.
        *args: Further arguments.
        **kwargs: Further arguments of `module.apply`, such as `train=False`.

    Returns:
        `{path of the layer: (moments of this input, remembered moments)}`; differentiable with respect to `x`. Further
            calls of one layer are `path#1`, `path#2`.

    Raises:
        ValueError: If the module has no BatchNorm, or the variables have no statistics.

    Example:
        >>> layer = nn.BatchNorm(use_running_average=True)
        >>> x = jnp.array([[1.0], [3.0]])
        >>> seen, kept = norm_moments(layer, layer.init(jax.random.key(0), x), x)[""]
        >>> seen.mean.item(), seen.variance.item(), kept.mean.item()
        (2.0, 1.0, 0.0)

    Source: Yin et al., arXiv:1912.08795 (yin2020).
    """
    found: dict[str, tuple[Moments, Moments]] = {}

    def watch(call: Callable[..., Any], given: Any, named: Any, context: Any) -> Any:
        if isinstance(context.module, nn.BatchNorm) and context.method_name == "__call__":
            bound = inspect.signature(nn.BatchNorm.__call__).bind(context.module, *given, **named).arguments
            name = "/".join(context.module.path)
            calls = sum(key.partition("#")[0] == name for key in found)
            found[f"{name}#{calls}" if calls else name] = _moments(context.module, bound["x"], bound.get("mask"))
        return call(*given, **named)

    with nn.intercept_methods(watch):
        module.apply(variables, x, *args, **kwargs)
    if not found:
        raise ValueError(f"norm_moments: {type(module).__name__} has no nn.BatchNorm that it calls; inversion needs "
                         "remembered moments, so generate with data_free_losses, or calibrate on data")  # fmt: skip
    return found


def _moments(layer: nn.BatchNorm, x: jax.Array, mask: jax.Array | None) -> tuple[Moments, Moments]:
    """Moments of what a layer reads, and those that it remembers."""
    kept = layer.variables.get("batch_stats")
    if kept is None:
        raise ValueError(f"norm_moments: the variables have no batch_stats of {'/'.join(layer.path)!r}; pass all "
                         "collections, as init returns them")  # fmt: skip
    x = jnp.asarray(x, jnp.float32)
    features = {axis % x.ndim for axis in ((layer.axis,) if isinstance(layer.axis, int) else layer.axis)}
    axes = tuple(axis for axis in range(x.ndim) if axis not in features)
    seen = Moments(jnp.mean(x, axes, where=mask), jnp.var(x, axes, where=mask))
    return seen, Moments(jnp.asarray(kept["mean"]), jnp.asarray(kept["var"]))


def moment_loss(moments: Mapping[str, tuple[Moments, Moments]]) -> jax.Array:
    """Returns how far the moments of an input are from those that the normalization layers remember.

    .. math:: \\sum_l \\|\\mu_l(x) - \\hat\\mu_l\\|_2 + \\|\\sigma^2_l(x) - \\hat\\sigma^2_l\\|_2

    Args:
        moments: From `norm_moments`, not empty.

    Returns:
        Scalar, float32.

    Raises:
        ValueError: If there are no moments.

    Example:
        >>> one = Moments(jnp.ones(1), jnp.ones(1))
        >>> moment_loss({"norm": (one, Moments(jnp.zeros(1), jnp.ones(1)))}).item()
        1.0

    Source: Yin et al., arXiv:1912.08795 (yin2020).
    """
    if not moments:
        raise ValueError("moment_loss: there are no moments; see norm_moments")
    parts = [x - y for seen, kept in moments.values() for x, y in zip(seen, kept, strict=True)]
    return jnp.sum(jnp.stack([root(jnp.sum(part**2)) for part in parts]))


def total_variation(images: jax.Array) -> jax.Array:
    """Returns the mean squared difference of neighboring pixels.

    .. math:: E[(x_{i+1,j} - x_{i,j})^2] + E[(x_{i,j+1} - x_{i,j})^2]

    Args:
        images: `[batch, height, width, channels]`.

    Returns:
        Scalar, float32.

    Raises:
        ValueError: If there is another number of axes.

    Example:
        >>> total_variation(jnp.array([[[[0.0], [1.0]], [[0.0], [1.0]]]])).item()
        1.0

    Source: Mahendran and Vedaldi, arXiv:1412.0035 (mahendran2014).
    """
    if images.ndim != 4:
        raise ValueError(f"total_variation: images {images.shape} must be [batch, height, width, channels]")
    x = images.astype(jnp.float32)
    return jnp.mean((x[:, 1:] - x[:, :-1]) ** 2) + jnp.mean((x[:, :, 1:] - x[:, :, :-1]) ** 2)


def invert(
    loss: Callable[[jax.Array], jax.Array],
    start: jax.Array,
    *,
    steps: int = 200,
    rate: float = 0.1,
    low: float = -jnp.inf,
    high: float = jnp.inf,
) -> tuple[jax.Array, jax.Array]:
    """Moves inputs until a loss is small: images for calibration or distillation where no data is left.

    .. math:: x \\leftarrow clip(x - Adam(\\nabla_x L(x)))

    For DeepInversion, the loss is the cross-entropy with wanted classes, plus `moment_loss` and a little
    `total_variation`; for ZeroQ, `moment_loss` alone.

    Args:
        loss: `inputs -> scalar`.
        start: First inputs, usually Gaussian noise.
        steps: Steps of Adam, at least 1.
        rate: Of Adam, above 0.
        low: Least value of an input.
        high: Greatest value.

    Returns:
        The inputs, and the loss before every step `[steps]`.

    Raises:
        ValueError: If a setting is out of range.

    Example:
        >>> x, losses = invert(lambda x: jnp.sum((x - 2.0) ** 2), jnp.zeros(3), steps=100)
        >>> x.round(1).tolist()
        [2.0, 2.0, 2.0]

    Source: Yin et al., arXiv:1912.08795 (yin2020); Cai et al., arXiv:2001.00281 (cai2020).
    """
    rate, low, high = numbers("invert", rate=rate, low=low, high=high)
    if steps < 1 or rate <= 0 or not low < high:
        raise ValueError(
            f"invert: steps={steps} must be at least 1, rate={rate} above 0, and low={low} below high={high}"
        )
    optimizer = optax.adam(rate)

    def step(carry: Any, _: None) -> tuple[Any, jax.Array]:
        x, state = carry
        value, slope = jax.value_and_grad(loss)(x)
        updates, state = optimizer.update(slope, state)
        return (jnp.clip(optax.apply_updates(x, updates), low, high), state), value

    run = jax.jit(lambda x: jax.lax.scan(step, (x, optimizer.init(x)), None, steps))
    (x, _), values = run(start)
    return x, values
