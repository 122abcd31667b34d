"""Nodes as arguments and results of programs of `jax.export`."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from compressjax import core, interpret, tensors
from tests import helpers
from tests.interpret import samples


def convolve(w: Any, x: jax.Array) -> jax.Array:
    """A 3x3 convolution with stride 2."""
    return jax.lax.conv_general_dilated(x, w, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def model(p: Any, ids: jax.Array, image: jax.Array) -> jax.Array:
    """Embeddings, a convolution and products, on every kind of weight."""
    words = jnp.take(p["table"], ids, axis=0)
    seen = jnp.mean(convolve(p["kernel"], image), (1, 2))
    return {name: (words + seen) @ w for name, w in p["heads"].items()}


def test_a_program_takes_quantized_arguments() -> None:
    """Weight-only convolution, packed embedding and every node as arguments, at a batch that no one traced."""
    draw = samples.rng()
    tree = {
        "table": core.ops.pack(samples.grid(draw, (9, 8), (9, 1), bits=4)),
        "kernel": samples.grid(draw, (3, 3, 2, 8), (1, 1, 1, 8), bits=4),
        "heads": {**samples.zoo((8, 6)), **samples.active((8, 6))},
    }
    fn = samples.lifted(model)
    (batch,) = export.symbolic_shape("batch")
    spec = jax.ShapeDtypeStruct((batch,), jnp.int32), jax.ShapeDtypeStruct((batch, 4, 4, 2), jnp.float32)
    exported = export.export(samples.quick(fn))(jax.eval_shape(lambda: tree), *spec)
    assert "int4[9,8]" in {str(aval) for aval in exported.in_avals}
    program = export.deserialize(exported.serialize())
    ids, image = jnp.array([0, 3, 8]), samples.floats(draw, 3, 4, 4, 2)
    got, asked = program.call(tree, ids, image), samples.quick(fn)(tree, ids, image)
    for name, w in tree["heads"].items():
        samples.assert_close(got[name], asked[name], name)
        hidden = helpers.brute(tree["table"].replace(codes=tree["table"].codes.astype(jnp.int8)))[[0, 3, 8]]
        params = samples.equation(convolve, jnp.zeros((3, 3, 2, 8)), image).params
        hidden = hidden + samples.convolution(image, helpers.brute(tree["kernel"]), params).mean((1, 2))
        room = np.asarray(interpret.integer_bound(jnp.asarray(hidden, jnp.float32), w)) if _rounds(w) else 1e-4
        assert (np.abs(helpers.float64(got[name]) - hidden @ helpers.brute(w)) <= room + 1e-4).all(), name
    with pytest.raises(ValueError, match="structure"):
        program.call({**tree, "kernel": jnp.zeros((3, 3, 2, 8))}, ids, image)


def _rounds(w: Any) -> bool:
    return isinstance(w, tensors.Quantized) and w.activation is not None


def test_results_may_be_nodes() -> None:
    node = tensors.Quantized(jnp.ones((3, 2), jnp.int8), jnp.ones((1, 3)), order=(1, 0), activation="dynamic")
    exported = export.export(jax.jit(lambda n: n.replace(scale=2 * n.scale)))(node)
    out = export.deserialize(exported.serialize()).call(node)
    assert isinstance(out, tensors.Quantized)
    assert (out.order, out.activation) == ((1, 0), "dynamic")
    assert helpers.same_bits(out.materialize(), 2 * node.materialize())


def test_static_fields_must_be_literals() -> None:
    @core.node
    class Odd(core.Node):
        base: jax.Array = core.value()
        kind: Any = core.meta(default=np.float32)

    exported = export.export(jax.jit(lambda n: n.base))(Odd(jnp.ones(2)))
    with pytest.raises(ValueError, match=r"Odd has static fields that are no Python literals.*float32"):
        exported.serialize()
    assert len(export.export(jax.jit(lambda n: n.base))(Odd(jnp.ones(2), "a")).serialize()) > 0


def test_a_class_may_be_declared_again() -> None:
    for _ in range(2):

        @core.node
        class Twice(core.Node):
            base: jax.Array = core.value()

    assert jax.tree.leaves(Twice(1.0)) == [1.0]
