"""Segments join to the whole, and equal ones share a program."""

import jax.numpy as jnp
import numpy as np

from compressjax.calibration._segment import Programs, needed, segment
from compressjax.interpret.jaxpr._line import inputs_of, line_of
from tests.calibration import toys


def test_two_segments_compute_the_function():
    params, (x,) = toys.mlp_params(), toys.rows(4)[0]
    line = line_of(toys.mlp, params, (x,))
    last = line.equations[-1].writes[0]
    products = [i for i, eq in enumerate(line.equations) if eq.eqn.primitive.name == "dot_general"]
    cut = products[1]
    middle = [n for n in line.equations[cut].numbers if n in line.data]
    programs, known = Programs(), dict(zip(line.inputs, inputs_of((x,)), strict=True))
    head = segment(line, needed(line, middle), middle)
    assert head.leaves == ("a", "bias")
    half = programs.run(line, head, params, known)(known)
    tail = segment(line, needed(line, [last], cut), [last])
    assert tail.leaves == ("b", "c")
    assert tail.inputs == tuple(middle)
    np.testing.assert_allclose(programs.run(line, tail, params, half)(half)[last], toys.mlp(params, x), rtol=1e-5)


def test_equal_layers_share_a_program_and_others_do_not():
    params = {name: toys.normal(i, 4, 4) for i, name in enumerate("abc")}

    def fn(p, x):
        return jnp.sin(jnp.tanh(jnp.tanh(x @ p["a"]) @ p["b"]) @ p["c"])

    line = line_of(fn, params, (jnp.ones((2, 4)),))
    programs, known = Programs(), dict.fromkeys(range(99), jnp.ones((2, 4)))
    outs = []
    for at in range(0, 6, 2):
        part = segment(line, [at, at + 1], line.equations[at + 1].writes)
        outs += programs.run(line, part, params, known)(known).values()
    assert len(programs._made) == 2
    np.testing.assert_allclose(outs[1], jnp.tanh(jnp.ones((2, 4)) @ params["b"]), rtol=1e-6)
