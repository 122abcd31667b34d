"""Assistants made from a teacher: they fit, use the room, and compute what the teacher does where they can."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, distill, lift


def dense(p: dict, x: jax.Array) -> jax.Array:
    return jax.nn.relu(x @ p["in"]["kernel"] + p["in"]["bias"][None]) @ p["out"]["kernel"]


@pytest.fixture
def teacher(key: jax.Array) -> dict:
    a, b = jax.random.split(key)
    return {"in": {"kernel": jax.random.normal(a, (6, 16)), "bias": jnp.zeros(16)},
            "out": {"kernel": jax.random.normal(b, (16, 4))}}  # fmt: skip


@pytest.mark.thorough
def test_units(teacher: dict, key: jax.Array) -> None:
    dead = jax.tree.map(jnp.array, teacher)
    dead["in"]["kernel"] = dead["in"]["kernel"].at[:, 5:].set(0.0)
    x = jax.random.normal(key, (3, 6))
    half, five = distill.assistants_from(dense, dead, x, limits=[88, 59])  # 11 numbers a unit
    assert (half.parameters, five.parameters) == (88, 55)
    for made in (half, five):  # the units of zeros went first
        np.testing.assert_allclose(made.fn(made.params, x), dense(dead, x), rtol=1e-5)


def test_layers(key: jax.Array) -> None:
    def fn(p: dict, x: jax.Array) -> jax.Array:
        for i in range(4):
            x = x + jnp.tanh(x @ p[f"block_{i}"]["kernel"])
        return x @ p["head"]

    p = {f"block_{i}": {"kernel": s * jnp.eye(3)} for i, s in enumerate((0.1, 0.0, 2.0, 0.0))}
    p["head"] = jnp.ones((3, 2))
    x = jax.random.normal(key, (2, 3))
    found = distill.assistants_from(fn, p, x, limits=[24, 20], by="layers", pattern="(block_.)/kernel")
    assert [made.parameters for made in found] == [24, 15]
    np.testing.assert_allclose(found[0].fn(found[0].params, x), fn(p, x), rtol=1e-6)
    assert sorted(core.nodes(found[1].params)) == ["block_2/kernel", "head"]
    with pytest.raises(ValueError, match="limit 7 leaves no block"):
        distill.assistants_from(fn, p, x, limits=[7], by="layers", pattern="(block_.)/kernel")


def test_rank(teacher: dict, key: jax.Array) -> None:
    x = jax.random.normal(key, (3, 6))
    (made,) = distill.assistants_from(dense, teacher, x, limits=[16 + 22 * 3 + 20 * 2], by="rank")
    assert made.parameters <= 122
    held = core.nodes(made.params)
    u, s, vt = np.linalg.svd(np.asarray(teacher["in"]["kernel"]))
    rank = held["in/kernel"].left.shape[-1]
    best = (u[:, :rank] * s[:rank]) @ vt[:rank]
    np.testing.assert_allclose(held["in/kernel"].materialize(), best, atol=1e-5)
    np.testing.assert_allclose(made.fn(made.params, x), lift(dense)(made.params, x), rtol=1e-6)
    with pytest.raises(ValueError, match="not between the 16 parameters"):
        distill.assistants_from(dense, teacher, x, limits=[16], by="rank")
    with pytest.raises(ValueError, match="too small to factorize"):
        distill.assistants_from(dense, teacher, x, limits=[30], by="rank")


def test_an_unknown_way_is_refused(teacher: dict) -> None:
    with pytest.raises(ValueError, match="by='layers', pattern=None"):
        distill.assistants_from(dense, teacher, jnp.ones((1, 6)), limits=[50], by="layers")
