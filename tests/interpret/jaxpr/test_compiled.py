"""Calls whose arguments and results have leaves that are no arrays."""

import jax
import jax.numpy as jnp

from compressjax.interpret.jaxpr._compiled import Compiled, bound


def test_leaves_that_are_no_arrays_are_static() -> None:
    traces = []

    def fn(net, x, *, scale):
        traces.append(1)
        return {"out": net["act"](x * net["w"]) * scale, "name": net["name"], "half": net["n"] // 2}

    run = bound(fn, {"w": jnp.float32(2), "act": jnp.negative, "name": "b", "n": 5}, jnp.ones(3), scale=jnp.float32(3))
    for _ in range(2):
        out = run()
        assert (out["out"].tolist(), out["name"], int(out["half"])) == ([-6.0] * 3, "b", 2)
    assert len(traces) == 1


def test_shapes_and_other_leaves_are_compiled_once() -> None:
    traces = []

    def fn(net, x):
        traces.append(1)
        assert isinstance(x, jax.core.Tracer)
        return net["act"](x * net["w"])

    run, net = Compiled(fn), {"w": jnp.float32(2), "act": jnp.negative}
    assert [run(net, jnp.float32(x)).item() for x in (1, 2)] == [-2, -4]
    assert len(traces) == 1
    assert run(net | {"act": jnp.abs}, jnp.float32(-1)).item() == 2
    assert run(net, jnp.ones(2)).shape == (2,)
    assert len(traces) == 3
