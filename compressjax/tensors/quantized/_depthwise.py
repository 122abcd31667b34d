"""Depthwise convolutions on CPUs: a sum of shifted images, which XLA makes one loop."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Convolution, dense


def shifts(x: jax.Array, node: Any, c: Convolution) -> bool:
    """Whether a convolution is a depthwise one over two dimensions that is faster as a sum of shifted images.

    XLA's own depthwise convolutions on CPUs take 6 to 40 times as long (two cores, jaxlib 0.10 and 0.12).
    """
    out, inputs, *_ = c.dimension_numbers.rhs_spec
    _, feature, *spatial = c.dimension_numbers.lhs_spec
    channels = node.shape[out]
    depthwise = node.shape[inputs] == 1 and 1 < channels == c.feature_group_count == x.shape[feature]
    plain = c.batch_group_count == 1 and all(step == 1 for step in (*c.lhs_dilation, *c.rhs_dilation))
    known = len(spatial) == 2 and all(isinstance(x.shape[a], int) for a in spatial)
    floats = jnp.issubdtype(x.dtype, jnp.floating) and all(n >= 0 for pair in c.padding for n in pair)
    return depthwise and plain and known and floats and jax.default_backend() == "cpu"


def shifted_conv(x: jax.Array, node: Any, c: Convolution) -> jax.Array:
    r"""The convolution with the dense kernel and float inputs.

    .. math:: y_{ij} = \sum_{uv} x_{i s + u,\,j s + v} \odot k_{uv}
    """
    numbers = c.dimension_numbers
    (batch, feature, *spatial), (out, inputs, *places) = numbers.lhs_spec, numbers.rhs_spec
    images = jnp.transpose(x, (batch, *spatial, feature)).astype(jnp.float32)
    kernel = jnp.transpose(dense(node).astype(jnp.float32), (*places, inputs, out))[:, :, 0]
    images = jnp.pad(images, ((0, 0), *c.padding, (0, 0)))
    sizes = [
        (images.shape[1 + a] - kernel.shape[a]) // step + 1 if images.shape[1 + a] >= kernel.shape[a] else 0
        for a, step in enumerate(c.window_strides)
    ]
    total = jnp.zeros((images.shape[0], *sizes, images.shape[3]), jnp.float32)
    for place in [(i, j) for i in range(kernel.shape[0]) for j in range(kernel.shape[1])]:
        window = [slice(p, p + n * s, s) for p, n, s in zip(place, sizes, c.window_strides, strict=True)]
        part = images[:, window[0], window[1]][:, : sizes[0], : sizes[1]]
        total = total + part * kernel[place].reshape(1, 1, 1, -1)
    last = (numbers.out_spec[0], *numbers.out_spec[2:], numbers.out_spec[1])
    moved = jnp.transpose(total, [last.index(a) for a in range(4)])
    return moved.astype(c.dtype or jnp.result_type(x.dtype, node.dtype))
