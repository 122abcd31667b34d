"""Meshes with explicit axes: shardings are types, and lifted programs have the types of the dense ones."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding

from compressjax import interpret
from compressjax.core import ops
from compressjax.core.ops import Spec
from compressjax.interpret.lifting._explicit import dense_sharding, explicit, materialize
from tests import helpers
from tests.interpret import samples


@pytest.fixture
def mesh() -> Any:
    """Two by two devices, all axes explicit."""
    with jax.set_mesh(jax.make_mesh((2, 2), ("d", "m"), axis_types=(AxisType.Explicit,) * 2)) as mesh:
        yield jax.sharding.get_mesh() if mesh is None else mesh


def place(mesh: Any, node: Any, spec: Spec) -> Any:
    """A node whose arrays are sharded like the tensor."""
    specs = ops.specs(node, spec, dict(mesh.shape))
    return jax.tree.map(lambda x, s: jax.device_put(x, NamedSharding(mesh, s)), node, specs)


def layer(w: Any, x: jax.Array) -> jax.Array:
    """A dense layer."""
    return jnp.tanh(x @ w)


@pytest.mark.turns(2)
@pytest.mark.parametrize("spec", [Spec(), Spec(None, "m")], ids=str)
def test_products_have_the_type_of_the_dense_product(mesh: Any, spec: Spec) -> None:
    x = jax.device_put(samples.floats(samples.rng(), 4, 8), NamedSharding(mesh, Spec("d")))
    nodes = {**samples.zoo((8, 6)), **samples.active((8, 6))}
    placed = {name: place(mesh, node, spec) for name, node in nodes.items()}
    got = samples.quick(samples.lifted(lambda ws, x: {k: layer(w, x) for k, w in ws.items()}))(placed, x)
    asked = jax.typeof(layer(jax.device_put(jnp.ones((8, 6)), NamedSharding(mesh, spec)), x))
    for name, node in nodes.items():
        assert jax.typeof(got[name]) == asked, name
        rough = isinstance(getattr(node, "activation", None), str)
        samples.assert_close(got[name], np.tanh(helpers.float64(x) @ helpers.brute(node)), name, 0.2 if rough else 2e-5)


def test_which_ran_natively(mesh: Any) -> None:
    x = jax.device_put(samples.floats(samples.rng(), 4, 8), NamedSharding(mesh, Spec("d")))
    node = place(mesh, samples.low_rank(samples.rng(), (8, 6)), Spec(None, "m"))
    assert samples.statuses(layer, node, x) == {("dot_general", "native")}
    weights = place(mesh, samples.codebook(samples.rng(), 8, 6), Spec(None, "m"))
    assert samples.statuses(layer, weights, x) == {("dot_general", "dense")}


def test_summed_axes_on_several_devices(mesh: Any) -> None:
    """Where the program says how its result is sharded, the lifted program says the same."""
    x = jax.device_put(samples.floats(samples.rng(), 4, 8), NamedSharding(mesh, Spec(None, "m")))

    def f(w: Any, x: jax.Array) -> jax.Array:
        return jnp.einsum("ni,io->no", x, w, out_sharding=Spec("d"))

    for node in (
        samples.low_rank(samples.rng(), (8, 6)),
        samples.grid(samples.rng(), (8, 6), (1, 6), order=(1, 0), activation="dynamic"),
        samples.codebook(samples.rng(), 8, 6),
    ):
        out = samples.lifted(f)(place(mesh, node, Spec("m")), x)
        assert jax.typeof(out).sharding.spec == Spec("d", None)
        samples.assert_close(out, helpers.float64(x) @ helpers.brute(node), tolerance=0.02)


def test_gradients(mesh: Any) -> None:
    x = jax.device_put(samples.floats(samples.rng(), 4, 8), NamedSharding(mesh, Spec("d")))
    node = samples.low_rank(samples.rng(), (8, 6))
    placed = place(mesh, node, Spec(None, "m"))
    got = jax.jit(jax.grad(lambda n: jnp.sum(interpret.lift(layer)(n, x))))(placed)
    asked = jax.grad(lambda n: jnp.sum(layer(n.materialize(), np.asarray(x))))(node)
    samples.assert_close(got.left, asked.left)
    samples.assert_close(got.right, asked.right)
    assert jax.typeof(got.right).sharding.spec == Spec(None, "m")


def test_dense_tensors_take_the_sharding_of_their_arrays(mesh: Any) -> None:
    nodes = samples.zoo((8, 4, 4))
    placed = {name: place(mesh, node, Spec("d", None, "m")) for name, node in nodes.items()}
    dense = samples.quick(lambda ns: {name: materialize(node) for name, node in ns.items()})(placed)
    for name, node in nodes.items():
        assert dense_sharding(placed[name]).spec == Spec("d", None, "m"), name
        assert jax.typeof(dense[name]).sharding.spec == Spec("d", None, "m"), name
        samples.assert_close(dense[name], helpers.brute(node), name)


def test_factors_on_one_mesh_axis_share_it_once(mesh: Any) -> None:
    node = samples.low_rank(samples.rng(), (8, 6))
    both = jax.tree.map(
        lambda x, s: jax.device_put(x, NamedSharding(mesh, s)), node, type(node)(Spec("m"), Spec(None, "m"))
    )
    assert dense_sharding(both).spec == Spec("m", None)
    samples.assert_close(materialize(both), helpers.brute(node))


def test_nothing_is_explicit_elsewhere() -> None:
    assert explicit(jax.typeof(jnp.ones(2))) is None
    assert dense_sharding(samples.codebook(samples.rng(), 2, 3)) is None
    auto = jax.make_mesh((2,), ("d",), axis_types=(AxisType.Auto,))
    x = jax.device_put(jnp.ones(2), NamedSharding(auto, Spec("d")))
    assert explicit(jax.typeof(x)) is None
