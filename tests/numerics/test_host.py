"""What NumPy may read, and that it computes what XLA computes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.numerics._host import branch, on_host
from compressjax.numerics._top import top_masks
from compressjax.share._lloyd import lloyd
from tests import helpers


def test_only_concrete_arrays_of_one_cpu():
    x = jnp.arange(3.0)
    np.testing.assert_array_equal(on_host(x), [0, 1, 2])
    np.testing.assert_array_equal(on_host(np.float32(2)), 2)
    assert on_host(jax.ShapeDtypeStruct((3,), jnp.float32)) is None
    jax.jit(lambda x: (on_host(x) is None) or pytest.fail("traced"))(x)
    mesh = jax.make_mesh((1,), ("d",))
    assert on_host(jax.device_put(x, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("d")))) is None


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_masks_are_those_of_the_compiled_search(dtype):
    scores = {
        "a": jnp.array([[0.5, -0.0, jnp.nan], [0.0, jnp.inf, -jnp.inf]], dtype),
        "b": jnp.array([0.5, 0.5, -2.0, jnp.nan], dtype),
    }
    compiled = jax.jit(top_masks)
    for count in range(11):
        got, want = top_masks(scores, count), compiled(scores, count)
        assert helpers.difference(got, want) == "", count


def test_clusters_are_those_of_the_compiled_iteration():
    x = helpers.array(0, (40, 30)).at[:5].set(0.0)
    for zeros in (True, False):
        got = lloyd(x, 6, ignore_zeros=zeros)
        want = jax.jit(lambda x, z=zeros: lloyd(x, 6, ignore_zeros=z))(x)
        np.testing.assert_allclose(got[0], want[0], rtol=1e-5)
        np.testing.assert_array_equal(got[1], want[1])
    centroids, codes = lloyd(jnp.zeros((2, 2)), 3)
    assert (centroids.tolist(), codes.tolist()) == ([0.0] * 3, [[0, 0], [0, 0]])


def test_a_known_condition_runs_its_branch_alone():
    ran = []

    def say(name):
        return lambda: ran.append(name) or jnp.float32(len(name))

    assert branch(jnp.array(True), say("yes"), say("no")) == 3
    assert branch(jnp.array(False), say("yes"), say("no")) == 2
    assert ran == ["yes", "no"]
    choose = jax.jit(lambda c: branch(c, say("yes"), say("no")))
    assert [float(choose(jnp.array(c))) for c in (True, False)] == [3, 2]
    assert ran[2:] == ["yes", "no"]  # traced once, both of them
