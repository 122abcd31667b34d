"""Layouts: the given one, or the convention."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core
from compressjax.core._layout import Layout, in_product, layout_of, using
from tests import helpers


def test_layouts_of_a_tree():
    assert layout_of("w", (2, 3, 4)) == core.Layout((), (0, 1), (2,))
    with using("[out, in]"):
        assert layout_of("w", (8, 4, 3, 3)) == core.Layout((), (2, 3, 1), (0,))
        assert layout_of("w", (8, 4)).along == 1
    with using({"w": core.Layout((), (1,), (0,))}):
        assert layout_of("w", (8, 4)).inputs == (1,)
        assert layout_of("other", (8, 4)).inputs == (0,)
        with pytest.raises(ValueError, match=r"'w' of shape \(8, 4, 2\) has another number of axes"):
            layout_of("w", (8, 4, 2))
    with pytest.raises(ValueError, match=r"layout='\[o, i\]' is unknown; use one of"):
        core.partition({".*": core.identity()}, layout="[o, i]")


def test_matrices_there_and_back():
    x = helpers.array(0, (2, 3, 4, 5))
    for layout in (Layout((1,), (3, 0), (2,)), Layout((), (0, 1, 2), (3,)), Layout((0, 1), (2,), (3,))):
        matrices = layout.matrices(x)
        assert matrices.shape == tuple(int(np.prod([x.shape[a] for a in part], dtype=int)) for part in layout)
        np.testing.assert_array_equal(layout.leaf(matrices, x.shape), x)
        np.testing.assert_array_equal(jnp.transpose(jnp.transpose(x, layout.order), layout.inverse), x)


def test_a_traced_function_says_what_is_a_product():
    with using({"a/kernel": Layout((), (0,), (1,))}):
        assert [in_product(path) for path in ("a/kernel", "a/kernels", "a/kernel/left")] == [True, False, None]
    assert in_product("a/kernel") is None
