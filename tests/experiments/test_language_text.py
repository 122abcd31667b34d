"""Texts under a language model: the network against NumPy, and a text that comes back."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import language_text
from experiments.pretrained import smollm

pytestmark = pytest.mark.loose

SHAPE = smollm.Shape(layers=2, heads=4, groups=2, base=100.0, epsilon=1e-5)
WIDTH, INNER, WORDS = 16, 24, 256


class Letters:
    """A tokenizer whose tokens are bytes."""

    def decode(self, ids: list[int], skip_special_tokens: bool = True) -> str:
        return bytes(ids).decode()


@pytest.fixture
def params(key: jax.Array) -> dict[str, jax.Array]:
    shapes: dict[str, tuple[int, ...]] = {"token_embd": (WORDS, WIDTH), "output_norm": (WIDTH,)}
    for i in range(SHAPE.layers):
        kernels = {"attn_q": (WIDTH, WIDTH), "attn_k": (WIDTH // 2, WIDTH), "attn_v": (WIDTH // 2, WIDTH),
                   "attn_output": (WIDTH, WIDTH), "ffn_gate": (INNER, WIDTH), "ffn_up": (INNER, WIDTH),
                   "ffn_down": (WIDTH, INNER), "attn_norm": (WIDTH,), "ffn_norm": (WIDTH,)}  # fmt: skip
        shapes |= {f"blk.{i}.{name}": shape for name, shape in kernels.items()}
    keys = jax.random.split(key, len(shapes))
    return {name: 0.4 * jax.random.normal(k, shape) for k, (name, shape) in zip(keys, shapes.items())}


def whole(params: dict[str, Any], tokens: list[int]) -> np.ndarray:
    """Logits after the last token, from all tokens at once: rotations as products of complex numbers."""
    held = {name: np.asarray(x, np.float64) for name, x in params.items()}

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + SHAPE.epsilon) * held[name]

    def heads(x: np.ndarray, count: int, turn: bool) -> np.ndarray:
        x = x.reshape(len(x), count, -1)
        if turn:
            z = x[..., ::2] + 1j * x[..., 1::2]
            z = z * np.exp(1j * np.arange(len(x))[:, None, None] * SHAPE.base ** (-np.arange(2) / 2))
            x = np.stack([z.real, z.imag], -1).reshape(x.shape)
        return x

    x = held["token_embd"][tokens]
    for i in range(SHAPE.layers):
        y = norm(x, f"blk.{i}.attn_norm")
        q = heads(y @ held[f"blk.{i}.attn_q"].T, 4, True)
        k, v = (np.repeat(heads(y @ held[f"blk.{i}.attn_{part}"].T, 2, part == "k"), 2, axis=1) for part in "kv")
        scores = np.einsum("qhd,khd->hqk", q, k) / 2
        scores[:, ~np.tri(len(x), dtype=bool)] = -np.inf
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        found = np.einsum("hqk,khd->qhd", weights / weights.sum(-1, keepdims=True), v).reshape(len(x), -1)
        x = x + found @ held[f"blk.{i}.attn_output"].T
        y = norm(x, f"blk.{i}.ffn_norm")
        gate = y @ held[f"blk.{i}.ffn_gate"].T
        x = x + (gate / (1 + np.exp(-gate)) * (y @ held[f"blk.{i}.ffn_up"].T)) @ held[f"blk.{i}.ffn_down"].T
    return (norm(x, "output_norm") @ held["token_embd"].T)[-1]


def test_one_token_at_a_time_is_the_whole_network(params: dict[str, jax.Array]) -> None:
    tokens = [3, 200, 7, 7]
    state, run = smollm.memory(SHAPE, params, 1, 6), jax.jit(functools.partial(smollm.step, SHAPE))
    for token in tokens:
        state, logits = run(params, state, jnp.array([token]))
    np.testing.assert_allclose(logits[0], whole(params, tokens), rtol=1e-3, atol=1e-4)
    assert int(state[1]) == 4


def test_a_text_comes_back_and_fewer_bits_make_a_smaller_file(params: dict[str, jax.Array]) -> None:
    text = "one two one two one two"
    model = smollm.Language(SHAPE, {}, Letters(), 0, 0)
    tokens = language_text.streams(list(text.encode()), 2, 0)
    row = language_text.measured("tiny", model, params, 1000, tokens, text)
    assert row["together"] == 1000 + row["payload"]
    assert row["bits a byte"] == 8 * row["payload"] / len(text)
    dense, four = language_text.compressed(params, 4)
    _, two = language_text.compressed(params, 2)
    assert two < four < 4 * sum(x.size for x in params.values())
    assert {name: x.shape for name, x in dense.items()} == {name: x.shape for name, x in params.items()}
    assert 0 < float(jnp.abs(dense["blk.0.attn_q"] - params["blk.0.attn_q"]).max()) < 0.2
