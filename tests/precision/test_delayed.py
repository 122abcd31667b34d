"""Delayed scaling: by hand, against Flax's layer, and through loops."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.linen import fp8_ops

from compressjax import precision


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_results_gradients_and_states_are_those_of_flax(draw):
    x, g = draw.normal(size=(4, 16)).astype(np.float32), draw.normal(size=(4, 8)).astype(np.float32)
    layer = nn.Dense(8, use_bias=False, dot_general_cls=lambda: fp8_ops.Fp8DotGeneralOp(amax_history_length=3))
    variables = layer.init(jax.random.key(0), x)
    run = precision.delayed(lambda p, x: x @ p["kernel"], history=3)
    states = run.init(variables["params"], x)
    held = variables["_overwrite_with_gradient"]

    @jax.jit
    def both(x, held, states):
        def theirs(params, x, held):
            return layer.apply({"params": params, "_overwrite_with_gradient": held}, x)

        y, pull = jax.vjp(theirs, variables["params"], x, held)
        z, push = jax.vjp(lambda p, x, s: run.apply(s, p, x), variables["params"], x, states)
        return (y, *pull(g)), (z, *push(g))

    for size in (1.0, 20.0, 0.5, 3.0):
        theirs, ours = both(x * size, held, states)
        for a, b in zip(jax.tree.leaves(theirs[:3]), jax.tree.leaves(ours[:3]), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
        held, states = theirs[3], ours[3]
        state = states["000.dot_general"]
        (meta,) = held.values()
        for i, name in enumerate(("input", "kernel", "output_grad")):
            assert float(meta[f"{name}_scale"][0]) == float(state.scale[i])
            np.testing.assert_array_equal(meta[f"{name}_amax_history"], state.history[i])


def test_every_iteration_has_states_of_its_own():
    """Layers with weights 1 and 4: the operands of the second are 4 times as large as those of the first one."""

    def layers(w, x):
        return jax.lax.scan(lambda h, w: (h @ w, None), x, w)[0].sum()

    w, x = jnp.stack([jnp.eye(2) * 4, jnp.eye(2)]), jnp.ones((1, 2))
    run = precision.delayed(layers, history=2)
    states = run.init(w, x)
    (site,) = states
    assert site == "000.scan/000.dot_general"
    assert states[site].history.shape == (2, 3, 2)
    grad = jax.jit(jax.grad(run.apply, argnums=(1, 0)))
    for _ in range(2):
        _, states = grad(states, w, x)
    np.testing.assert_array_equal(states[site].history[:, :, 0], [[1, 4, 1], [4, 1, 1]])
    np.testing.assert_allclose(states[site].scale[:, 0] * 448, [1, 4], rtol=1e-6)


def test_states_pass_loss_scaling():
    run = precision.delayed(lambda w, x: (x @ w).sum())
    w, x = jnp.ones((2, 2)), jnp.ones((1, 2))
    states = run.init(w, x)
    _, (grads, new) = precision.scaled_value_and_grad(lambda w, s: run.apply(s, w, x), (0, 1))(
        jnp.float32(8), w, states
    )
    np.testing.assert_array_equal(grads, jnp.ones((2, 2)))
    assert new["000.dot_general"].history[:, 0].tolist() == [1.0, 1.0, 8.0]


def test_workers_have_the_same_scales():
    run = precision.delayed(lambda w, x: (x @ w).sum(), history=2, axis_name="w")
    w, x = jnp.ones((2, 2)), jnp.array([[[1.0, 2.0]], [[3.0, 8.0]]])
    states = precision.delayed(lambda w, x: (x @ w).sum(), history=2).init(w, x[0])
    new = jax.vmap(lambda x, s: jax.grad(run.apply)(s, w, x), in_axes=(0, None), axis_name="w", out_axes=0)
    found = jax.jit(lambda x: new(x, states))(x)["000.dot_general"]
    assert found.history[:, 0, 0].tolist() == [8.0, 8.0]


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"compute='bfloat16' has no scales; use policy\('fp8'\)"):
        precision.delayed(jnp.dot, "bf16")
    with pytest.raises(ValueError, match="history=0 must be at least 1"):
        precision.delayed(jnp.dot, history=0)
    with pytest.raises(ValueError, match="the function has no product"):
        precision.delayed(lambda x: x + 1).init(jnp.ones(2))
