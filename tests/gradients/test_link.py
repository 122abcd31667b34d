"""Collectives over workers."""

import jax
import numpy as np

from compressjax.gradients._link import Link, as_floats

X = np.arange(32.0, dtype=np.float32).reshape(4, 4, 2)


def test_workers_of_a_mapped_axis():
    def worker(x):
        link = Link("w")
        return link.mean(x), link.gather(x), link.swap(x), link.place() * np.ones(()), link.size() * np.ones(())

    mean, every, swapped, index, size = jax.jit(jax.vmap(worker, axis_name="w"))(X)
    np.testing.assert_array_equal(mean[1], X.mean(0))
    np.testing.assert_array_equal(every[2], X)
    np.testing.assert_array_equal(swapped, X.swapaxes(0, 1))
    np.testing.assert_array_equal(index, range(4))
    np.testing.assert_array_equal(size, [4] * 4)


def test_keys_differ_between_workers():
    key = jax.random.key(0)
    drawn = jax.vmap(lambda _: jax.random.bits(Link("w").own(key)), axis_name="w")(X)
    assert len(set(drawn.tolist())) == 4


def test_one_worker_exchanges_nothing():
    link = Link()
    assert link.mean(X) is X
    assert link.swap(X) is X
    assert (link.size(), link.place(), link.gather(X).shape) == (1, 0, (1, 4, 4, 2))
    assert as_floats(X).shape == (32,)
