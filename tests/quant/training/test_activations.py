"""Quantized activations: where ranges come from, what they learn, and that what is trained is what is stored."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import compressjax as cj
from compressjax import core, modules, prune, quant, tensors
from tests import helpers

X, Y = helpers.array(0, (16, 6)), helpers.array(1, (16, 3))
PARAMS = {"a": {"kernel": helpers.array(2, (6, 8))}, "b": {"kernel": helpers.array(3, (8, 3))}}
RULES = {
    "a/kernel": core.chain(quant.activations(4, method="lsq", optimizer=optax.sgd(0.1)), quant.lsq(4)),
    "b/kernel": core.chain(quant.activations(4, method="pact", signed=False, optimizer=optax.sgd(0.1)), quant.lsq(4)),
}


def mlp(params, x):
    return jax.nn.relu(x @ params["a"]["kernel"]) @ params["b"]["kernel"]


STATS = cj.observe(mlp)(PARAMS, X)[1]


def loss(c, params, state):
    return jnp.mean((cj.lift(mlp)(c.view(params, state), X) - Y) ** 2)


def trained(c, steps=3):
    """Parameters and state after some steps of gradients with respect to both."""
    tx = cj.as_optax(c, optax.sgd(0.05))
    params, state = PARAMS, tx.init(PARAMS)

    @jax.jit
    def step(params, state):
        grads, slopes = jax.grad(lambda p, s: loss(c, p, s), (0, 1), allow_int=True)(params, state.compression)
        updates, state = tx.update(grads, state, params, stats=STATS, slopes=slopes)
        return optax.apply_updates(params, updates), state

    for _ in range(steps):
        params, state = step(params, state)
    return params, state.compression


@pytest.mark.thorough
def test_four_bits_of_both_train_and_ship_the_same() -> None:
    c = core.partition(RULES)
    params, state = trained(c)
    view, stored = c.view(params, state), c.encode(params, state)
    assert isinstance(stored["a"]["kernel"].inner, tensors.Quantized)
    assert jax.tree.leaves(stored["a"]["kernel"].step)[0] == view["a"]["kernel"].step
    run = cj.lift(mlp, on_fallback="raise")
    assert str(jax.make_jaxpr(run)(stored, X)).count("preferred_element_type=int32") == 2
    np.testing.assert_allclose(run(stored, X), run(view, X), rtol=1e-5, atol=1e-5)
    assert np.abs(run(stored, X) - mlp(params, X)).max() > 0.01
    _, early = trained(c, 1)
    assert not np.allclose(*(core.nodes(c.encode(params, s))["a/kernel"].step for s in (state, early)))


def test_steps_move_by_the_gradient_of_lsq() -> None:
    """Against the published rule: `sum g (q - v) / sqrt(N high)` for the inputs of the last layer of a sum."""
    c = quant.activations(3, method="lsq", signed=False, limit=2.0, optimizer=optax.sgd(1.0))
    params, x, step = {"kernel": PARAMS["b"]["kernel"]}, jax.nn.relu(helpers.array(4, (5, 8))), 2.0 / 7
    state = c.init(params)
    slopes = jax.grad(lambda s: cj.lift(lambda p: (x @ p["kernel"]).sum())(c.view(params, s)), allow_int=True)(state)
    _, after = c.before_step(jax.tree.map(jnp.zeros_like, params), params, state, slopes)
    v, g = np.asarray(x) / step, np.broadcast_to(np.asarray(params["kernel"]).sum(1), x.shape)
    of_step = np.where(v >= 7, 7, np.round(v) - v)
    want = step - (g * of_step).sum() / np.sqrt(8 * 7)
    np.testing.assert_allclose(after.ranges["kernel"], max(want, 1e-30), rtol=1e-4)


def test_ranges_start_from_the_first_statistics() -> None:
    inputs = np.maximum(np.asarray(X @ PARAMS["a"]["kernel"]), 0)
    for method, signed, data, path in (("lsq", False, inputs, "b/kernel"), ("pact", True, X, "a/kernel")):
        c = quant.activations(4, method=method, signed=signed)
        _, state = c.after_step(PARAMS, c.init(PARAMS), STATS)
        want = 2 * np.abs(data).mean() / np.sqrt(15) if method == "lsq" else np.abs(data).max()
        np.testing.assert_allclose(state.ranges[path], want, rtol=1e-5)
    c = quant.activations(4, method="lsq")
    _, state = c.after_step(PARAMS, c.init(PARAMS), STATS)
    normal = np.sqrt(2 / np.pi * np.square(X).mean())
    np.testing.assert_allclose(state.ranges["a/kernel"], 2 * normal / np.sqrt(7), rtol=1e-5)


def test_observers_follow_and_freeze_on_a_schedule() -> None:
    c = quant.activations(8, method="moving_average", begin=1, end=3, decay=0.5)
    state, followed, want = c.init(PARAMS), [], [0.0, 2.0, 3.0, 3.0]
    for scale in (1.0, 2.0, 4.0, 8.0):
        seen = {path: s.replace(largest=jnp.full_like(s.largest, scale)) for path, s in STATS.items()}
        _, state = c.after_step(PARAMS, state, seen)
        followed.append(float(state.ranges["a/kernel"]))
    assert followed == want
    assert c.after_step(PARAMS, state)[1].ranges == state.ranges


@pytest.mark.parametrize("method", ["lsq", "pact"])
def test_what_is_learned_freezes_too(method: str) -> None:
    c = quant.activations(4, method=method, limit=1.0, begin=1, end=2, optimizer=optax.sgd(0.1))
    state, moved = c.init(PARAMS), []
    slopes = jax.tree.map(jnp.ones_like, state)
    for _ in range(3):
        before = state.ranges["a/kernel"]
        _, state = c.before_step(PARAMS, PARAMS, state, slopes)
        moved.append(bool(state.ranges["a/kernel"] != before))
        _, state = c.after_step(PARAMS, state)
    assert moved == [False, True, False]


def test_ranges_that_nothing_tells_round_nothing_and_are_not_stored() -> None:
    c = quant.activations(2, method="pact")
    state = c.init(PARAMS)
    np.testing.assert_allclose(cj.lift(mlp)(c.view(PARAMS, state), X), mlp(PARAMS, X), rtol=1e-6)
    with pytest.raises(ValueError, match=r"no range is known for the inputs of \['a/kernel', 'b/kernel'\]"):
        c.encode(PARAMS, state)
    nothing = cj.observe(mlp)(PARAMS, 0 * X)[1]
    with pytest.raises(ValueError, match="only zeros reached"):
        c.after_step(PARAMS, state, nothing)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bits": 9}, "bits=9"),
        ({"method": "minmax"}, "method='minmax'"),
        ({"method": "fixed"}, "needs limit="),
        ({"limit": 2.0}, "no effect on dynamic"),
        ({"method": "pact", "limit": 0.0}, "limit=0.0"),
        ({"begin": 3, "end": 2}, "end=2"),
        ({"method": "moving_average", "decay": 1.0}, "decay=1.0"),
        ({"optimizer": optax.sgd(1.0)}, "optimizer= would have no effect"),
    ],
)
def test_bad_settings_are_told(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        quant.activations(**settings)


@pytest.mark.thorough
def test_masks_and_grids_around_and_inside() -> None:
    """Zeros stay, and the product of the stored nodes is that of the view, in every order that is taken."""
    mask, inputs, grid = prune.magnitude(0.5), quant.activations(4), quant.lsq(4, granularity="tensor")
    for c in (
        core.chain(mask, inputs, grid), core.chain(inputs, mask, grid), core.sequence(mask, core.chain(inputs, grid)),
        core.sequence(inputs, quant.fake_quant(4)),
    ):  # fmt: skip
        _, state = c.after_step(PARAMS, c.init(PARAMS))
        stored, view = c.encode(PARAMS, state), c.view(PARAMS, state)
        got, want = cj.lift(mlp)(stored, X), cj.lift(mlp)(view, X)
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
        assert np.abs(want - mlp(core.materialize(stored), X)).max() > 0.01
        assert "int32" in str(jax.make_jaxpr(cj.lift(mlp))(stored, X))
    with pytest.raises(ValueError, match="put activations.* first"):
        core.chain(grid, inputs).init(PARAMS)


@pytest.mark.thorough
def test_layers_of_a_scan_share_a_range() -> None:
    stack = {"kernel": helpers.array(5, (3, 6, 6))}

    def deep(params, x):
        return jax.lax.scan(lambda h, w: (jnp.tanh(h @ w), None), x, params["kernel"])[0]

    c = core.chain(quant.activations(5, method="lsq"), quant.lsq(5, granularity="tensor"))
    _, state = c.after_step(stack, c.init(stack), cj.observe(deep)(stack, X)[1])
    got, want = (cj.lift(deep, on_fallback="raise")(f(stack, state), X) for f in (c.encode, c.view))
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
    slopes = jax.grad(lambda s: cj.lift(deep)(c.view(stack, s), X).sum(), allow_int=True)(state)
    assert float(slopes.states[0].ranges["kernel"]) != 0


def test_linen_and_nnx_train_ranges_with_their_parameters() -> None:
    c = core.chain(quant.activations(4, method="pact", limit=1.0, optimizer=optax.sgd(0.1)), quant.lsq(4))
    tx = cj.as_optax(c, optax.sgd(0.1))
    model = modules.Compressed(nn.Dense(3), c)
    params = model.init(jax.random.key(0), X)["params"]
    opt = tx.init(params)

    def linen(params, state):
        return jnp.mean((model.apply(modules.with_state({"params": params}, state), X) - Y) ** 2)

    grads, slopes = jax.grad(linen, (0, 1), allow_int=True)(params, opt.compression)
    _, after = tx.update(grads, opt, params, slopes=slopes)
    want = float(after.compression.states[0].ranges["kernel"])
    assert want != 1.0

    layer = nnx.Linear(6, 3, rngs=nnx.Rngs(0))
    layer.kernel.set_value(params["kernel"])
    twin = modules.NNXCompressed(layer, c)
    optimizer = nnx.Optimizer(twin.module, tx, wrt=nnx.Param)
    trained = nnx.DiffState(0, nnx.Any(nnx.Param, modules.CompressionState))
    grads = nnx.grad(lambda m: jnp.mean((m(X) - Y) ** 2), argnums=trained, allow_int=True)(twin)
    optimizer.update(twin.module, grads["module"], slopes=grads["compression_state"].get_value())
    twin.set_compression(optimizer.opt_state.compression)
    got = twin.compression_state.get_value().states[0].ranges["kernel"]
    np.testing.assert_allclose(got, want, rtol=1e-5)
    stored = twin.encode()
    np.testing.assert_allclose(cj.lift(modules.functional(twin.module))(stored, X), twin(X), rtol=1e-4, atol=1e-5)
