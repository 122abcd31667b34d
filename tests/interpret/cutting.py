"""Networks to prune, and the reference for pruning: zeros in the weights."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from compressjax import interpret
from compressjax.core._paths import flatten_with_path, map_with_path, path_string


def filled(tree: Any, seed: int = 0) -> Any:
    """Random numbers for every floating array, positive ones for variances."""
    draw = np.random.default_rng(seed)

    def fill(path: Any, leaf: Any) -> Any:
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            return leaf
        x = draw.normal(size=leaf.shape).astype(leaf.dtype)
        return jax.device_put(np.abs(x) + x.dtype.type(0.5) if path_string(path).endswith("var") else x)

    return map_with_path(fill, tree)


def change(tree: Any, groups: list[interpret.Group], kept: dict[str, list[int]], zero: bool) -> Any:
    """Removes units from every member, or sets them to zero."""
    out = {path_string(path): np.array(leaf) for path, leaf in flatten_with_path(tree)[0]
           if hasattr(leaf, "shape") and not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)}  # fmt: skip
    gone: dict[tuple[str, int], set[int]] = {}
    for group in groups:
        for member in group.members:
            lost = [u for u in range(group.units) if u not in kept.get(group.name, range(group.units))]
            gone.setdefault((member.path, member.axis), set()).update(member.positions[lost].reshape(-1).tolist())
    for (path, axis), positions in gone.items():
        if zero:
            index = [slice(None)] * out[path].ndim
            index[axis] = sorted(positions)
            out[path][tuple(index)] = 0
        else:
            out[path] = np.delete(out[path], sorted(positions), axis)
    return map_with_path(
        lambda path, leaf: jax.device_put(out[path_string(path)]) if path_string(path) in out else leaf, tree
    )


def half(groups: list[interpret.Group], seed: int = 0, notes: bool = True) -> dict[str, list[int]]:
    """A random half of every group that can be pruned."""
    draw = np.random.default_rng(seed)
    return {
        g.name: sorted(draw.choice(g.units, (g.units + 1) // 2, replace=False).tolist())
        for g in groups
        if not g.frozen and (notes or not g.note)
    }


def agrees(fn: Any, params: Any, *args: Any, tolerance: float = 1e-5, seed: int = 0) -> list[str]:
    """Prunes half of every group and compares with the masked function; returns the names of the groups."""
    groups = interpret.couplings(fn)(params, *args)
    kept = half(groups, seed)
    masked = jax.jit(fn)(change(params, groups, kept, zero=True), *args)
    small = change(params, groups, kept, zero=False)
    got = jax.jit(interpret.narrow(fn, params, kept))(small, *args)
    for a, b in zip(jax.tree.leaves(masked), jax.tree.leaves(got), strict=True):
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        assert np.isfinite(a).all()
        np.testing.assert_allclose(b, a, rtol=0, atol=tolerance * max(1.0, np.abs(a).max()))
    return sorted(kept)


class Block(nn.Module):
    """A residual block with BatchNorm."""

    width: int
    mid: int
    stride: int = 1

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Two convolutions and the skip connection."""
        y = nn.Conv(self.mid, (3, 3), strides=self.stride, use_bias=False)(x)
        y = nn.relu(nn.BatchNorm(use_running_average=not train)(y))
        y = nn.Conv(self.width, (3, 3), use_bias=False)(y)
        y = nn.BatchNorm(use_running_average=not train)(y)
        if x.shape != y.shape:
            x = nn.Conv(self.width, (1, 1), strides=self.stride)(x)
        return nn.relu(x + y)


class ResNet(nn.Module):
    """A stem and two residual blocks, the second with a projection."""

    mids: tuple[int, int] = (6, 10)

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Logits."""
        x = nn.relu(nn.BatchNorm(use_running_average=not train)(nn.Conv(4, (3, 3))(x)))
        x = Block(4, self.mids[0])(x, train)
        x = Block(8, self.mids[1], 2)(x, train)
        return nn.Dense(3)(x.mean((1, 2)))


class Separable(nn.Module):
    """Depthwise convolutions with and without a multiplier, a grouped one, pooling, and a flattened dense layer."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Logits."""
        x = nn.relu6(nn.Conv(8, (3, 3))(x))
        x = nn.relu6(nn.Conv(8, (3, 3), feature_group_count=8)(x))
        x = nn.relu(nn.Conv(12, (1, 1))(x))
        x = nn.relu(nn.Conv(24, (3, 3), feature_group_count=12)(x))
        x = nn.relu(nn.Conv(12, (3, 3), feature_group_count=6)(x))
        x = nn.max_pool(nn.avg_pool(x, (2, 2), (2, 2)), (2, 2))
        return nn.Dense(3)(nn.relu(nn.Dense(10)(x.reshape(x.shape[0], -1))))


class Bert(nn.Module):
    """An encoder with LayerNorm after each block and a head tied to the embedding."""

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Logits of every token."""
        embed = nn.Embed(11, 8)
        x = embed(tokens) + nn.Embed(7, 8)(jnp.arange(tokens.shape[1])[None])
        for _ in range(2):
            x = nn.LayerNorm()(x + nn.MultiHeadDotProductAttention(num_heads=4, qkv_features=24)(x))
            x = nn.LayerNorm()(x + nn.Dense(8)(nn.gelu(nn.Dense(20)(x))))
        return embed.attend(x)


def normal(*shape: int) -> jax.Array:
    """Random numbers, the same for every shape of as many axes."""
    return jnp.asarray(np.random.default_rng(len(shape)).normal(size=shape), jnp.float32)


def free_units(fn: Any) -> list[str]:
    """Groups of `x @ a` that may be cut, for `a` [3, 4], `b` [4, 2] and `x` [4, 3]; cutting them agrees."""
    p, x = {"a": normal(3, 4), "b": normal(4, 2)}, normal(4, 3)
    free = [g.name for g in interpret.couplings(fn)(p, x) if not g.frozen and g.name.startswith("a")]
    assert set(free) <= set(agrees(fn, p, x))
    return free


def llama(width: int = 8, heads: int = 4, kv: int = 2, size: int = 6, hidden: int = 10, layers: int = 2) -> Any:
    """Weights of `llama_apply`, stacked over layers."""
    shapes = {
        "embed": (11, width), "final": (width,), "head": (width, 11),
        "layers": {
            "n1": (layers, width), "n2": (layers, width), "q": (layers, width, heads * size),
            "k": (layers, width, kv * size), "v": (layers, width, kv * size), "o": (layers, heads * size, width),
            "gate": (layers, width, hidden), "up": (layers, width, hidden), "down": (layers, hidden, width),
        },
    }  # fmt: skip
    return filled(jax.tree.map(lambda s: jax.ShapeDtypeStruct(s, jnp.float32), shapes,
                               is_leaf=lambda s: isinstance(s, tuple)))  # fmt: skip


def _rms(x: jax.Array, scale: jax.Array) -> jax.Array:
    return x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-6) * scale[None, None]


def rope(x: jax.Array) -> jax.Array:
    """Rotary positions of `[n, t, heads, size]`: rotates pairs of entries from the two halves."""
    half = x.shape[-1] // 2
    angle = jnp.arange(x.shape[1])[:, None] / 10000.0 ** (jnp.arange(half)[None] / half)
    cos, sin = jnp.cos(angle)[None, :, None], jnp.sin(angle)[None, :, None]
    a, b = x[..., :half], x[..., half:]
    return jnp.concatenate([a * cos - b * sin, a * sin + b * cos], -1)


def llama_apply(params: Any, tokens: jax.Array, heads: int = 4, kv: int = 2) -> jax.Array:
    """A decoder with RMSNorm, rotary positions, grouped queries, gated MLPs, and layers in a scan."""

    def layer(x: jax.Array, w: Any) -> tuple[jax.Array, None]:
        n, t, _ = x.shape
        y = _rms(x, w["n1"])
        q, k, v = ((y @ w[name]).reshape(n, t, count, -1) for name, count in (("q", heads), ("k", kv), ("v", kv)))
        k, v = (jnp.repeat(z, heads // kv, axis=2) for z in (rope(k), v))
        logits = jnp.einsum("nqhd,nkhd->nhqk", rope(q), k) / q.shape[-1] ** 0.5
        logits = jnp.where(jnp.tril(jnp.ones((t, t), bool))[None, None], logits, -1e9)
        z = jnp.einsum("nhqk,nkhd->nqhd", jax.nn.softmax(logits), v)
        x = x + z.reshape(n, t, -1) @ w["o"]
        y = _rms(x, w["n2"])
        return x + (jax.nn.silu(y @ w["gate"]) * (y @ w["up"])) @ w["down"], None

    x, _ = jax.lax.scan(jax.checkpoint(layer), params["embed"][tokens], params["layers"])
    return _rms(x, params["final"]) @ params["head"]
