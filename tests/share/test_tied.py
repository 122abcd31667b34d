"""Layers that share an array: means, one copy in a file, and what tying costs."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import artifact, share
from compressjax.core import compress
from compressjax.core._unfit import UnfitError

PARAMS = {name: jnp.full((2, 3), value) for name, value in (("a", 1.0), ("b", 3.0), ("c", 8.0))} | {
    "d": jnp.ones((4, 4))
}


def away(params):
    return sum(jnp.sum((x - PARAMS[name]) ** 2) for name, x in params.items())


def test_a_group_is_its_mean_and_is_stored_once(tmp_path):
    small = compress(PARAMS, {"[abc]": share.tied("[ab]", "c")})
    np.testing.assert_array_equal(small["a"], np.full((2, 3), 2.0))
    assert small["a"] is small["b"]
    np.testing.assert_array_equal(small["c"], PARAMS["c"])
    rows = {row.path: row for row in artifact.save(tmp_path / "m.cjx", small).ledger.leaves}
    assert rows["b"].codecs == ("shared",)
    loaded = artifact.load(tmp_path / "m.cjx").tree
    assert loaded["a"] is loaded["b"]


def test_losses_of_tying_are_measured_one_group_at_a_time():
    rows = share.tying_losses(away, PARAMS, "a|b", "c")
    assert [(row.paths, row.change, row.saved_bytes) for row in rows] == [(("a", "b"), 12.0, 24)]


def test_every_shape_is_a_group_by_default():
    (row,) = share.tying_losses(away, PARAMS)
    assert row.paths == ("a", "b", "c")
    assert row.change == pytest.approx(6 * 26)  # 1, 3 and 8 around 4
    assert row.loss == row.change


def test_what_cannot_be_tied_is_named():
    with pytest.raises(UnfitError, match="'d': its shape"):
        share.tied("[ad]").encode({name: PARAMS[name] for name in "ad"}, ())
    with pytest.raises(UnfitError, match="'a': it is in none of the groups"):
        share.tied("b").encode({"a": PARAMS["a"]}, ())
    with pytest.raises(ValueError, match="no two kernels can be tied"):
        share.tying_losses(jnp.sum, {"d": PARAMS["d"]})
