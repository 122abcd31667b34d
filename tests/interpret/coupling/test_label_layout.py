"""Changes of layout: the labels move as the entries do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import interpret
from compressjax.interpret.coupling._couplings import _RULES
from compressjax.interpret.coupling._labels import LabeledTrace, Labels
from tests.interpret import cutting

MOVES = [
    lambda x: x.reshape(6), lambda x: x.T, lambda x: x[:, ::-1], lambda x: x[:, 1:3], lambda x: x[:, ::2],
    lambda x: jnp.concatenate([x, x * 1.0], 1), lambda x: jnp.split(x, [1], 1)[1], lambda x: x.reshape(2, 3, 1),
    lambda x: jnp.tile(x, (1, 2)), lambda x: jnp.repeat(x, 2, axis=1), lambda x: x[None], lambda x: x[:, None],
    lambda x: jnp.broadcast_to(x[None], (4, 2, 3)), lambda x: x.reshape(1, 6).reshape(2, 3),
    lambda x: jnp.squeeze(x[None], 0),
    lambda x: jnp.stack([x, x * 1.0], 1), lambda x: jnp.stack([x, x * 1.0], -1).reshape(2, 6),
    lambda x: jnp.swapaxes(x.reshape(6).reshape(2, 3), 0, 1),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(MOVES)))
def test_masked_entries_are_the_cut_ones(number):
    """Removed rows and columns of an array of ones are the zeros of the result."""
    fn = MOVES[number]
    labeled = LabeledTrace(_RULES)
    x = labeled.new((2, 3), zero=True)
    closed = jax.make_jaxpr(fn)(jnp.ones((2, 3)))
    (out,) = labeled.walk(closed.jaxpr, closed.consts, [x], ())
    for row in range(2):
        for column in range(3):
            value = np.ones((2, 3))
            value[row], value[:, column] = 0, 0
            gone = {labeled.atoms.resolve(x.axes[0][row])[0], labeled.atoms.resolve(x.axes[1][column])[0]}
            axes = [[gone.isdisjoint(labeled.atoms.resolve(a)) for a in v] for v in out.axes]
            keep = np.ones(out.shape)
            for axis, stay in enumerate(axes):
                keep *= np.reshape(stay, [-1 if a == axis else 1 for a in range(len(axes))])
            np.testing.assert_array_equal(np.asarray(fn(jnp.asarray(value))), keep)


def test_padding_has_positions_of_its_own():
    p = {"a": jnp.arange(1.0, 7.0).reshape(2, 3), "b": jnp.arange(1.0, 7.0)[:, None], "c": jnp.ones((2, 6))}

    def fn(p, x):
        return (jnp.pad(x @ p["a"], ((0, 0), (1, 2))) + x @ p["c"]) @ p["b"]

    assert cutting.agrees(fn, p, jnp.ones((1, 2))) == ["a:1", "c:1"]


@pytest.mark.parametrize(
    "fn",
    [
        lambda p, x: jax.lax.pad(x @ p["a"], 0.0, ((0, 0, 0), (-1, 0, 0))) @ p["b"][1:],
        lambda p, x: jax.lax.pad(x @ p["a"], 0.0, ((0, 0, 0), (0, 0, 1))) @ jnp.repeat(p["b"], 2, 0)[1:],
        lambda p, x: jnp.unstack(x @ p["a"], axis=1)[0][:, None] * p["b"][:1].T,
    ],
)
def test_positions_that_are_told_apart_stay(fn):
    p = {"a": jnp.ones((2, 3)), "b": jnp.ones((3, 1))}
    assert {g.name: g.frozen for g in interpret.couplings(fn)(p, jnp.ones((1, 2)))}["a:1"]


def test_a_fused_projection_is_split_into_three():
    p = {"qkv": cutting.filled(jnp.ones((4, 18))), "o": cutting.filled(jnp.ones((6, 2)), 1)}

    def fn(p, x):
        q, k, v = jnp.moveaxis((x @ p["qkv"]).reshape(*x.shape[:2], 3, 2, 3), 2, 0)
        z = jnp.einsum("nhqk,nkhd->nqhd", jax.nn.softmax(jnp.einsum("nqhd,nkhd->nhqk", q, k)), v)
        return z.reshape(*x.shape[:2], 6) @ p["o"]

    # Queries, keys and values share one width in this layout.
    assert cutting.agrees(fn, p, cutting.filled(jnp.ones((1, 3, 4)), 2)) == ["qkv:1", "qkv:1#2"]


def test_labels_have_shapes():
    labeled = LabeledTrace({})
    assert Labels((labeled.atoms.fresh(2), labeled.atoms.fresh(3)), (False, False)).shape == (2, 3)


def _angles(x, half):
    at = jnp.arange(x.shape[1])[:, None] / 100.0 ** (jnp.arange(half)[None] / half)
    return at[None, :, None]


def strided(x):
    """Rotary positions on pairs of neighbors, read with a stride."""
    a, b, angle = x[..., ::2], x[..., 1::2], _angles(x, x.shape[-1] // 2)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return jnp.stack([a * cos - b * sin, a * sin + b * cos], -1).reshape(x.shape)


def complex_pairs(x):
    """Rotary positions on pairs of neighbors, as complex numbers."""
    y = x.reshape(*x.shape[:-1], -1, 2)
    z = jax.lax.complex(y[..., 0], y[..., 1]) * jnp.exp(1j * _angles(x, y.shape[-2]))
    return jnp.stack([z.real, z.imag], -1).reshape(x.shape)


def rotated(x):
    """Rotary positions on pairs of neighbors, with every pair swapped and negated."""
    cos, sin = (jnp.repeat(f(_angles(x, x.shape[-1] // 2)), 2, -1) for f in (jnp.cos, jnp.sin))
    return x * cos + jnp.stack([-x[..., 1::2], x[..., ::2]], -1).reshape(x.shape) * sin


def attention(rope, heads=2):
    """Attention of a decoder; queries, keys and values of one width."""

    def fn(p, x):
        n, t, _ = x.shape
        q, k, v = ((x @ p[name]).reshape(n, t, heads, -1) for name in "qkv")
        weights = jax.nn.softmax(jnp.einsum("nqhd,nkhd->nhqk", rope(q), rope(k)))
        return jnp.einsum("nhqk,nkhd->nqhd", weights, v).reshape(n, t, -1) @ p["o"]

    return fn


def projections():
    draw = np.random.default_rng(0)
    shapes = {**dict.fromkeys("qkv", (6, 16)), "o": (16, 6)}
    return {name: jnp.asarray(draw.normal(size=s) / 2, jnp.float32) for name, s in shapes.items()}


@pytest.mark.parametrize("rope", [strided, complex_pairs, rotated])
def test_interleaved_rotary_positions_leave_heads_and_pairs_free(rope):
    """Heads, pairs of query and key channels, and channels of values: only data and results are frozen."""
    groups = interpret.couplings(attention(rope))(projections(), jnp.ones((1, 3, 6)))
    assert {g.name: g.units for g in groups if not g.frozen} == {"k:1": 2, "k:1#2": 4, "v:1": 8}
    assert {m.path for g in groups if g.name == "k:1#2" for m in g.members} == {"q", "k"}


@pytest.mark.parametrize("rope", [strided, complex_pairs])
def test_pruned_rotary_attention_is_the_masked_one(rope):
    x = jnp.asarray(np.random.default_rng(1).normal(size=(1, 3, 6)), jnp.float32)
    assert cutting.agrees(attention(rope), projections(), x) == ["k:1", "k:1#2", "v:1"]


def test_projections_joined_in_the_function_keep_groups_of_their_own():
    """One product with three kernels side by side, or with two on top of each other."""

    def joined(p, x):
        q, k, v = jnp.split(x @ jnp.concatenate([p["q"], p["k"], p["v"]], 1), (4, 8), 1)
        return (q * k) @ p["o"] + v @ p["r"]

    def stacked(p, x):
        q, k = jnp.unstack(jnp.einsum("nd,jdh->jnh", x, jnp.stack([p["q"], p["k"]])))
        return (q * k) @ p["o"] + x @ p["v"] @ p["r"]

    draw = np.random.default_rng(0)
    shapes = {"q": (3, 4), "k": (3, 4), "v": (3, 5), "o": (4, 2), "r": (5, 2)}
    p = {name: jnp.asarray(draw.normal(size=s), jnp.float32) for name, s in shapes.items()}
    for fn in (joined, stacked):
        assert cutting.agrees(fn, p, jnp.ones((2, 3))) == ["k:1", "v:1"]
