"""Pipelines compute what the function does, gradients too, and hold and send no more than their stages."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import measure
from compressjax.structure import cut_stages, pipeline
from tests.structure.nets import ROWS, fn, inputs, params

STAGES, MICROBATCHES = 4, 3


def mesh_of(count, name="stage"):
    return jax.make_mesh((count,), (name,), axis_types=(jax.sharding.AxisType.Auto,))


def loss(out):
    return jnp.sum(out["scores"] ** 2) + jnp.sum(jnp.sin(out["mean"]))


def test_results_and_gradients_are_those_of_the_function():
    tree, data = params(), inputs(ROWS * MICROBATCHES)
    found = cut_stages(fn, tree, *inputs(ROWS), count=STAGES)
    piped = pipeline(found, mesh_of(STAGES), "stage", MICROBATCHES)
    packed = jax.jit(piped.pack)(tree)
    assert packed["float32"].addressable_shards[0].data.nbytes == max(s.weight_bytes for s in found.stages)
    run = jax.jit(jax.value_and_grad(lambda p, *x: (loss(out := piped.run(piped.pack(p), *x)), out), has_aux=True))
    (_, out), grads = run(tree, *data)
    (_, wanted), slopes = jax.jit(jax.value_and_grad(lambda p, *x: (loss(out := fn(p, *x)), out), has_aux=True))(
        tree, *data
    )
    for ours, theirs in zip(jax.tree.leaves((out, grads)), jax.tree.leaves((wanted, slopes)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    text = jax.jit(piped.run).lower(packed, *data).compile().as_text()
    sent = [measure.collective_bytes(line) for line in text.splitlines() if "collective-permute(" in line]
    # Besides one message a turn, results leave the last device.
    messages = [one["collective-permute"] for one in sent if one]
    assert max(s.sent_bytes for s in found.stages) in messages
    assert sum(messages) <= max(s.sent_bytes for s in found.stages) + 4 * MICROBATCHES * ROWS * (5 + 1)


def test_bad_arguments_are_named():
    one = cut_stages(lambda p, x: x @ p, jnp.eye(2), jnp.ones((2, 2)), count=1)
    with pytest.raises(ValueError, match="axis 'pipe' must have one device for each of 1 stages; the mesh is"):
        pipeline(one, mesh_of(1), "pipe", 2)
    with pytest.raises(ValueError, match="microbatches=0 must be at least 1"):
        pipeline(one, mesh_of(1), "stage", 0)
    with pytest.raises(ValueError, match=r"an argument has shape \(3, 2\); its first axis must be 4, 2 microbatches"):
        pipeline(one, mesh_of(1), "stage", 2).run({}, jnp.ones((3, 2)))
    mean = cut_stages(lambda p, x: (x @ p).mean(), jnp.eye(2), jnp.ones((2, 2)), count=1)
    with pytest.raises(ValueError, match="axis 0 of all arguments and results must be the rows of a microbatch"):
        pipeline(mean, mesh_of(1), "stage", 2)
