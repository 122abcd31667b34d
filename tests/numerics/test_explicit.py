"""Automatic sharding on meshes with explicit axes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from compressjax import core, lowrank, numerics, quant, share
from compressjax.numerics._explicit import explicit
from tests import helpers

X = helpers.array(0, (8, 4))


def mesh(kind):
    return jax.make_mesh((2, 2), ("data", "model"), axis_types=(AxisType[kind],) * 2)


def test_sorts_and_reshapes_keep_the_type_of_what_they_resemble():
    def ranked(x, flip):
        return {"ranks": jnp.argsort(x.reshape(-1)).reshape(x.shape) * jnp.where(flip, -1, 1), "sum": x.sum()}

    want = ranked(X, True)

    @jax.jit
    def run(x, flip):
        found = numerics.with_auto_axes(ranked, {"ranks": x, "sum": flip})(x, flip)
        assert jax.typeof(found["ranks"]).sharding.spec == PartitionSpec("data", "model")
        assert jax.typeof(found["sum"]).sharding.spec == PartitionSpec()
        return found

    with jax.set_mesh(mesh("Explicit")):
        got = run(jax.device_put(X, NamedSharding(mesh("Explicit"), PartitionSpec("data", "model"))), True)
    np.testing.assert_array_equal(got["ranks"], want["ranks"])
    np.testing.assert_allclose(got["sum"], want["sum"], rtol=1e-6)


def test_without_the_detour_a_sort_is_refused():
    # If JAX supports this, the workaround can be removed.
    with jax.set_mesh(mesh("Explicit")):
        x = jax.device_put(X, NamedSharding(mesh("Explicit"), PartitionSpec("data", "model")))
        with pytest.raises(Exception, match="(?i)shard"):
            jax.jit(jnp.sort)(x)


@pytest.mark.parametrize("kind", ["Auto", "Explicit"])
def test_the_detour_stays_off_an_axis_of_shard_map(kind):
    """Every device sorts its rows; columns are split over an axis that stays, and their type with them."""
    axes = (AxisType[kind], AxisType.Explicit)
    both = jax.make_mesh((2, 2), ("data", "model"), axis_types=axes)

    def ranked(x):
        found = numerics.with_auto_axes(lambda x: jnp.sort(x, 1) + jax.lax.axis_index("data"), x)(x)
        assert jax.typeof(found) == jax.typeof(x)
        assert jax.typeof(x).sharding.spec == PartitionSpec(None, "model")
        return found

    with jax.set_mesh(both):
        x = jax.device_put(X, NamedSharding(both, PartitionSpec("data", "model")))
        rows = PartitionSpec("data")
        got = jax.jit(jax.shard_map(ranked, in_specs=rows, out_specs=rows, axis_names={"data"}))(x)
    np.testing.assert_array_equal(got, np.sort(X, 1) + np.float32([[0]] * 4 + [[1]] * 4))


@pytest.mark.parametrize("kind", ["Auto", "Explicit"])
def test_only_types_with_shardings_take_the_detour(kind):
    x = jax.device_put(X, NamedSharding(mesh(kind), PartitionSpec("data")))
    found = explicit(jax.typeof(x))
    assert (found is None) == (kind == "Auto")
    assert (numerics.with_auto_axes(jnp.sort, x) is jnp.sort) == (kind == "Auto")
    assert numerics.with_auto_axes(jnp.sort, X) is jnp.sort


@pytest.mark.turns(2)
@pytest.mark.parametrize(
    "make",
    [
        lambda: share.kmeans(4),
        lambda: lowrank.svd(rank=1),
        lambda: quant.rtn(4, clip="mse"),
        lambda: quant.rtn(4, granularity=4, symmetric=False),
    ],
    ids=["kmeans", "svd", "mse", "groups"],
)
def test_methods_on_arrays_whose_types_hold_their_sharding(make):
    """View, stored form and gradient are those of one device, and the gradient is sharded as its weight."""
    c = make()
    want = core.materialize(core.compress({"kernel": X}, {".*": c}))["kernel"]
    with jax.set_mesh(mesh("Explicit")):
        params = {"kernel": jax.device_put(X, NamedSharding(mesh("Explicit"), PartitionSpec("data", "model")))}

        @jax.jit
        def run(params):
            state = c.init(params)
            slopes = jax.grad(lambda p: jnp.sum(c.view(p, state)["kernel"] ** 2))(params)
            return core.materialize(c.encode(params, state)), c.view(params, state), slopes

        stored, view, slopes = run(params)
    assert jax.typeof(slopes["kernel"]) == jax.typeof(view["kernel"]) == jax.typeof(params["kernel"])
    for got in (stored, view):
        np.testing.assert_allclose(got["kernel"], want, rtol=1e-5, atol=1e-6)
