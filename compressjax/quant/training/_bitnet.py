"""BitNet b1.58: weights of -1, 0 and 1 times their mean magnitude, and int8 activations per token."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Compression, chain, on_values
from compressjax.numerics._numerics import straight_through
from compressjax.quant.grids._scales import shorten
from compressjax.quant.training._activations import activations
from compressjax.tensors import Quantized
from compressjax.tensors.quantized._grid import storage_order

Arrays = dict[str, jax.Array]
SMALLEST = 1e-5  # of the published code


def bitnet() -> Compression:
    """Trains weights of -1, 0 and 1 times one scale a tensor, and int8 activations with a scale a token.

    .. math:: \\hat W = \\gamma\\,clip(round(W / \\gamma), -1, 1), \\quad \\gamma = mean|W|, \\qquad
        \\hat x = s\\,round(x / s), \\quad s = \\max |x| / 127

    Gradients pass straight through both. A norm without parameters has to come before each product, as in the paper;
    that is for the model to do. Takes 2 bits a weight, at most 1.58 after entropy coding; products run in integers.

    Returns:
        Compression whose nodes are `RoundedInputs` of `Quantized`.

    Example:
        >>> method, params = bitnet(), {"kernel": jnp.array([[1.0, -3.0], [0.25, -0.25]])}
        >>> method.encode(params, method.init(params))["kernel"].inner.dense_codes().tolist()
        [[1, -1], [0, 0]]

    Source: Ma et al., arXiv:2402.17764 (ma2024).
    """

    def node(x: jax.Array) -> Quantized:
        wide = x.astype(jnp.float32)
        mean = jnp.mean(jnp.abs(wide)) if x.size else jnp.zeros(())
        scale = shorten(jnp.maximum(mean, SMALLEST))
        codes = jnp.clip(jnp.round(wide / scale), -1, 1).astype(jnp.int8)
        order = (1, 0) if x.ndim == 2 else ()
        return Quantized(
            jnp.transpose(codes, storage_order(x.ndim, order)), scale.reshape((1,) * x.ndim), bits=2, order=order,
            dtype_name=jnp.dtype(x.dtype).name,
        )  # fmt: skip

    def encode(flat: Arrays, state: Any) -> dict[str, Quantized]:
        return {path: node(x) for path, x in flat.items()}

    weights = on_values(
        "ternary",
        encode=encode,
        view=lambda flat, state: {path: straight_through(x, node(x).materialize()) for path, x in flat.items()},
    )
    return chain(activations(8), weights)._replace(name="bitnet")
