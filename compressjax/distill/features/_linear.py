"""Linear maps of features, the heads of losses: made from shapes, trained with the student, dropped afterwards."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_int

Params = dict[str, jax.Array]


def init_linear(who: str, key: jax.Array, inputs: Any, outputs: Any) -> Params:
    """A kernel `[in, out]` with variance `1 / in`, and a bias."""
    sizes = []
    for name, x in (("student", inputs), ("teacher", outputs)):
        size = as_int(who, name, x)
        if size < 1:
            raise ValueError(f"{who}: {name}={size} must be a number of features, at least 1")
        sizes.append(size)
    kernel = jax.random.normal(key, sizes, jnp.float32) * sizes[0] ** -0.5
    return {"kernel": kernel, "bias": jnp.zeros(sizes[1], jnp.float32)}


def linear(who: str, x: Any, params: Params) -> jax.Array:
    """The map of `[..., in]` to `[..., out]`, in float32."""
    kernel = params["kernel"].astype(jnp.float32)
    if not jnp.ndim(x) or jnp.shape(x)[-1] != kernel.shape[0]:
        raise ValueError(
            f"{who}: features {jnp.shape(x)} do not fit a head of kernel {kernel.shape}; make it with "
            f"{(jnp.shape(x) or (0,))[-1]} features"
        )
    out = jnp.asarray(x).astype(jnp.float32) @ kernel
    if "bias" in params:
        out = out + jnp.broadcast_to(params["bias"].astype(jnp.float32), out.shape)
    return out
