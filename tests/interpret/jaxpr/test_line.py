"""A line computes what the function does, and tells leaves from data."""

import jax
import jax.numpy as jnp

from compressjax.interpret.jaxpr._line import Known, inputs_of, line_of


def fn(p, x):
    kernel = p["v"] * p["g"][None]

    @jax.jit
    def inner(h):
        return jax.nn.relu(h @ kernel) + 2.0

    return inner(inner(x))


def test_calls_are_written_out_and_values_have_their_origins():
    params = {"g": jnp.ones(4), "n": 3, "v": jnp.ones((4, 4))}
    line = line_of(fn, params, (jnp.ones((2, 4)),))
    names = [eq.eqn.primitive.name for eq in line.equations]
    assert not {"jit", "pjit", "custom_jvp_call"} & set(names)
    assert names.count("dot_general") == 2
    assert sorted(line.leaves) == ["g", "v"]
    product = line.equations[names.index("dot_general")]
    data, kernel = product.reads
    assert data in line.data
    assert line.origins[kernel] == {"g", "v"}
    assert kernel not in line.data
    # Every call has values of its own.
    writes = [n for eq in line.equations for n in eq.writes]
    assert len(writes) == len(set(writes))
    assert line.results == [line.equations[-1].writes[0]]
    assert all(line.equations[line.maker[n]].typed(n).shape is not None for n in writes)


def test_literals_and_constants():
    held = jnp.arange(4.0)[None]
    line = line_of(lambda p, x: 2.0 * x @ p["v"] + held, {"v": jnp.ones((4, 4))}, (jnp.ones((1, 4)),))
    assert any(isinstance(x, Known) for eq in line.equations for x in eq.reads)
    assert [x.tolist() for x in line.consts.values()] == [[[0.0, 1.0, 2.0, 3.0]]]


def test_inputs_are_the_arrays():
    assert len(inputs_of((jnp.ones(2), "mode", {"mask": jnp.ones(3), "flag": True}))) == 2
