"""Leaves as matrices, for every kind of kernel that `observe` sees."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import observe
from compressjax.core._layout import Layout
from compressjax.saliency._layout import layout
from tests import helpers


def seen(*shape, axes=None):
    return SimpleNamespace(squares=jnp.zeros(shape), layout=axes)


@pytest.mark.parametrize(
    ("shape", "stats", "matrices"),
    [
        ((5, 3), (5,), (1, 5, 3)),
        ((3, 3, 2, 8), (18,), (1, 18, 8)),
        ((4, 2, 6), (8,), (1, 8, 6)),
        ((7, 5, 3), (7, 5), (7, 5, 3)),
        ((2, 7, 5, 3), (2, 7, 5), (14, 5, 3)),
    ],
)
def test_there_and_back(shape, stats, matrices):
    x = helpers.array(0, shape)
    found = layout("w", shape, seen(*stats))
    assert found.matrices(x).shape == matrices
    np.testing.assert_array_equal(found.leaf(found.matrices(x), shape), x)


# A function of a kernel and data, with shapes of both, all of equal sizes so that no size tells an axis.
STORED = {
    "in, out": (lambda w, x: x @ w, (4, 4), (6, 4), Layout((), (0,), (1,))),
    "out, in": (lambda w, x: x @ w.T, (4, 4), (6, 4), Layout((), (1,), (0,))),
    "experts by a free axis": (
        lambda w, x: jnp.einsum("td,edf->etf", x, w), (4, 4, 4), (6, 4), Layout((), (1,), (0, 2)),
    ),
    "experts out, in": (lambda w, x: jnp.einsum("etd,efd->etf", x, w), (4, 4, 4), (4, 6, 4), Layout((0,), (2,), (1,))),
    "heads": (lambda w, x: jnp.einsum("thk,hdk->td", x, w), (4, 4, 4), (6, 4, 4), Layout((), (0, 2), (1,))),
    "merged after a transpose": (
        lambda w, x: x @ w.transpose(1, 0, 2).reshape(16, 4), (4, 4, 4), (6, 16), Layout((), (1, 0), (2,)),
    ),
    "OIHW": (
        lambda w, x: jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NCHW", "OIHW", "NCHW")),
        (3, 3, 3, 3), (2, 3, 3, 3), Layout((), (2, 3, 1), (0,)),
    ),
    "layers of a loop, out, in": (
        lambda w, x: jax.lax.scan(lambda h, a: (h, h @ a.T), x, w)[1], (4, 4, 4), (6, 4), Layout((0,), (2,), (1,)),
    ),
    "mapped experts": (
        jax.vmap(lambda a, b: b @ a, (1, 0)), (4, 4, 4), (4, 6, 4), Layout((1,), (0,), (2,)),
    ),
}  # fmt: skip


@pytest.mark.turns(2)
@pytest.mark.parametrize("name", STORED)
def test_axes_come_from_the_trace(name):
    """Statistics name the axes; moving along an input axis of the kernel meets the input with these statistics."""
    fn, shape, data, expected = STORED[name]
    x = helpers.array(1, data)
    stats = observe(lambda p, x: fn(p["w"], x), select=".*")({"w": helpers.array(0, shape)}, x)[1]["w"]
    assert stats.layout == expected
    # A kernel with a single one adds up the input that it meets.
    squares = stats.squares.reshape(-1, stats.squares.shape[-1], 1)
    norms = expected.leaf(jnp.broadcast_to(squares, _sizes(expected, shape)), shape)
    for index in [(0,) * len(shape), tuple(range(len(shape))), (2,) * len(shape)]:
        probe = np.zeros(shape, np.float32)
        index = tuple(i % n for i, n in zip(index, shape))
        probe[index] = 1.0
        np.testing.assert_allclose(np.square(fn(jnp.asarray(probe), x)).sum(), norms[index], rtol=1e-5)


def _sizes(found, shape):
    return tuple(int(np.prod([shape[a] for a in part], dtype=int)) for part in found)


@pytest.mark.parametrize(
    ("shape", "stats", "axes"),
    [((9, 4), (5,), None), ((7, 5, 3), (2, 5), None), ((5,), (5,), None), ((9, 4), (4,), None),
     ((4, 4), (4,), Layout((), (), ())), ((4, 4), (4,), Layout((), (0,), ())), ((4, 6), (4,), Layout((), (1,), (0,)))],
)  # fmt: skip
def test_statistics_of_another_network(shape, stats, axes):
    with pytest.raises(ValueError, match=r"w.* (do not match the axes|in parts)"):
        layout("w", shape, seen(*stats, axes=axes))


def test_a_part_of_an_axis_has_no_layout():
    """Heads split from a fused axis: the sums run over parts of it, also where its size is that of the inputs."""
    x = helpers.array(1, (6, 2, 4))
    g = lambda p, x: jnp.einsum("thk,dhk->thd", x, p["w"].reshape(4, 2, 4))  # noqa: E731
    stats = observe(g, select=".*")({"w": helpers.array(0, (4, 8))}, x)[1]["w"]
    with pytest.raises(ValueError, match="in parts"):
        layout("w", (4, 8), stats)
