"""Methods of quantization on a mesh against one device, with axes that the compiler shards and axes that types hold."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from compressjax import core, measure, prune, quant, tensors
from compressjax.interpret.observing._statistics import of_rows
from tests import helpers
from tests.prune.layers import correlated

X, PARAMS = correlated(0, inputs=16, outputs=8)
STATS = {"kernel": of_rows(X, gram=True)}
METHODS = {
    "gptq": quant.gptq(4),
    "gptq, groups": quant.gptq(4, granularity=8, symmetric=False),
    "awq": quant.awq(4, granularity=8),
    "hqq": quant.hqq(4, granularity=8),
    "adaround": quant.adaround(3, steps=20, passes=1),
    "smooth_quant": quant.smooth_quant(0.5),
    "lsq": quant.lsq(4),
    "lsq, groups": quant.lsq(4, granularity=8),
    "rtn, percentile": quant.rtn(4, clip=("percentile", 90.0)),
    "rtn, scales of scales": quant.rtn("nf4", granularity=8, second=4),
    "rtn, ternary": quant.rtn(quant.grid("ternary", clip=("twn", 0.7))),
    "low_rank_correction": quant.low_rank_correction(2, 3),
}
CASES = [(name, kind) for name in METHODS for kind in ("explicit", "auto")]
QUICK = [(name, "explicit") for name in METHODS if name != "gptq"]


def encoded(method, params):
    return core.compress(params, {".*": method}, STATS if method.needs else None)["kernel"]


@pytest.mark.turns(3)
@pytest.mark.parametrize(("name", "kind"), helpers.quick(CASES, *QUICK))
def test_a_sharded_leaf_is_rounded_as_on_one_device(name, kind):
    want = encoded(METHODS[name], PARAMS)
    mesh = jax.make_mesh((2, 2), ("data", "model"), axis_types=(AxisType[kind.capitalize()],) * 2)
    with jax.set_mesh(mesh):
        spread = {"kernel": jax.device_put(PARAMS["kernel"], NamedSharding(mesh, PartitionSpec("data", "model")))}
        got = encoded(METHODS[name], spread)
    assert jax.tree.structure(got) == jax.tree.structure(want)
    if isinstance(got, tensors.Quantized):  # codes are stored as [out, in]
        assert got.codes.sharding.spec == PartitionSpec("model", "data")
    if isinstance(got, tensors.Sum):  # factors have a sign of their own
        got, want = core.materialize(got), core.materialize(want)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(np.asarray(a, np.float32), np.asarray(b, np.float32), rtol=1e-5, atol=1e-6)
    assert float(jnp.max(jnp.abs(core.materialize(want) - PARAMS["kernel"]))) > 0


@pytest.mark.parametrize("make", [lambda: quant.gptq(4), lambda: prune.sparsegpt(0.5)], ids=["gptq", "sparsegpt"])
def test_layers_of_a_stack_are_solved_each_on_its_device(make):
    """Nothing but masks' counts and flags is exchanged: Gram matrices stay with their layers, too."""
    stack = {"kernel": helpers.array(0, (4, 16, 8))}
    stats = {"kernel": of_rows(helpers.array(1, (4, 40, 16)), gram=True)}
    want = core.materialize(core.compress(stack, {".*": make()}, stats))["kernel"]
    mesh, method = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,)), make()
    spread = jax.tree.map(lambda x: jax.device_put(x, NamedSharding(mesh, PartitionSpec("data"))), (stack, stats))

    def encode(params, stats):
        _, state = method.after_step(params, method.init(params), stats)
        return method.encode(params, state)["kernel"]

    program = jax.jit(encode).lower(*spread).compile()
    got = program(*spread)
    np.testing.assert_allclose(got.materialize(), want, rtol=1e-4, atol=1e-5)
    assert sum(measure.collective_bytes(program).values()) < 4 * 16 * 8
    assert {len(x.sharding.device_set) for x in jax.tree.leaves(got)} == {4}
