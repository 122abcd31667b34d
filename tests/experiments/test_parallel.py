"""The functions of a way mean the same on one device and on four."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import app, parallel
from experiments.parallel import Way

ROWS = np.arange(16).reshape(2, 8)
IMAGES = np.arange(16, dtype=np.float32)[:, None] + 1
LABELS = np.arange(16)


def steps(way, frozen, state, batches, images, labels):
    """Two steps that use every function of a way; the state keeps what one device would have computed."""
    numbers, rows = batches

    def step(state, batch):
        number, mine = batch
        mine = mine if way.mapped else way.own(mine)
        x, y = images[mine], labels[mine]
        weight = way.own(jnp.arange(way.whole(len(x)), dtype=jnp.float32))
        seen = x[:, 0] * weight + way.roll(y) + number
        return state + way.mean(seen.mean()) * frozen, way.mean(seen.max() * 0 + 1)

    return jax.lax.scan(step, state, (numbers, rows))


@pytest.mark.parametrize("name", parallel.WAYS)
def test_four_devices_compute_what_numpy_does(name):
    way = app.make_way(4, "", name)
    frozen, state = way.place((np.float32(0.5), np.zeros((2, 3), np.float32)))
    run = way.compile(functools.partial(steps, way), state)
    out, ones = run(frozen, state, (np.arange(2), way.feed(ROWS, IMAGES, LABELS)), IMAGES, LABELS)
    expected = sum(
        0.5 * np.mean(IMAGES[rows, 0] * np.arange(8) + np.roll(LABELS[rows], 1) + i) for i, rows in enumerate(ROWS)
    )
    np.testing.assert_allclose(out, np.full((2, 3), expected), rtol=1e-6)
    assert np.asarray(ones).tolist() == [1, 1]


def test_arrays_split_over_model_by_their_last_axis():
    way = app.make_way(4, "data:2,model:2")
    tree = way.place({"w": np.ones((3, 4)), "odd": np.ones((3, 5)), "b": np.ones(4), "key": jax.random.key(0)})
    assert {name: x.sharding.spec for name, x in tree.items() if name != "key"} == {
        "w": jax.P(None, "model"), "odd": jax.P(), "b": jax.P(),
    }  # fmt: skip
    back = parallel.local(tree)
    assert all(len(x.sharding.device_set) == 1 for x in back.values())
    assert back["w"].shape == (3, 4)
    assert jax.random.uniform(back["key"]) == jax.random.uniform(jax.random.key(0))


@pytest.mark.parametrize("name", ["shard_map", "pmap"])
def test_batch_norm_sees_the_whole_batch(name):
    way, norm = app.make_way(4, "", name), nn.BatchNorm(use_running_average=False)
    x = np.arange(16, dtype=np.float32).reshape(8, 2) ** 2
    variables = norm.init(jax.random.key(0), x)
    whole, moved = norm.apply(variables, x, mutable=["batch_stats"])

    def run(frozen, state, batches, images, labels):
        out, moved = way.synchronized(functools.partial(norm.apply, mutable=["batch_stats"]))(
            frozen, images[batches[1][0]]
        )
        return moved, jax.lax.all_gather(out, "data", tiled=True)

    placed, state = way.place((variables, np.zeros(())))
    found, out = way.compile(run, state)(placed, state, (np.zeros(1), way.feed(np.arange(8)[None], x, x)), x, x)
    np.testing.assert_allclose(out, whole, atol=1e-5)
    np.testing.assert_allclose(found["batch_stats"]["mean"], moved["batch_stats"]["mean"], rtol=1e-6)


def test_pmap_has_one_axis():
    with pytest.raises(ValueError, match=r"pmap has one axis, data; write --mesh=data:4"):
        app.make_way(4, "data:2,model:2", "pmap")


def test_under_jit_nothing_is_split_by_hand():
    way = Way("jit", app.make_mesh(1))
    assert way.whole(3) == 3
    assert way.mean({"a": 1}) == {"a": 1}
    assert way.synchronized(len) is len
