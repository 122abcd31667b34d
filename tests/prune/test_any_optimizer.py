"""Every method that trains, with every kind of optimizer, on a tree with biases and in both precisions.

One tree has a layer for every method, each on its own kernel: so there is one program an optimizer to compile, and not
one for every pair.
"""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from flax import nnx

from compressjax import core, modules, prune
from tests import helpers

KEY = jax.random.key(0)
X, Y = helpers.array(3, (8, 6)), helpers.array(4, (8, 4))

METHODS: dict[str, Callable[[], core.Compression]] = {
    "gradual": lambda: prune.gradual(0.5, end=4, every=2, distribution="global"),
    "static": lambda: prune.static(0.5, KEY),
    "set": lambda: prune.set_(0.5, KEY, end=7, every=2),
    "rigl": lambda: prune.rigl(0.5, KEY, end=7, every=2),
    "ste": lambda: prune.ste(0.5),
    "sr_ste": lambda: prune.sr_ste(pattern="1:2"),
    "topkast": lambda: prune.topkast(0.6, 0.3, every=2),
    "acdc": lambda: prune.acdc(0.5, begin=1, every=2, end=5),
    "movement": lambda: prune.movement(0.5, end=3),
    "soft_movement": lambda: prune.soft_movement(penalty=1.0),
    "l0": lambda: prune.l0(0.01, KEY, end=4, units=0),
    "variational": lambda: prune.variational(8, KEY, end=4, warmup=2, initial=-3.0),
    "soft_threshold": lambda: prune.soft_threshold(initial=-2.0),
    "proximal_l1": lambda: prune.proximal_l1(0.01),
    "proximal_group": lambda: prune.proximal_group(0.01, axis=0),
    "proximal_nuclear": lambda: prune.proximal_nuclear(0.01, every=2),
}
LABELS = {name: {"kernel": "kernels", "bias": "others"} for name in METHODS}
OPTIMISERS: dict[str, Callable[[], optax.GradientTransformation]] = {
    "lion": lambda: optax.lion(0.01, weight_decay=0.1),
    "partition": lambda: optax.partition(
        {"kernels": optax.adamw(0.02), "others": optax.sgd(0.1, momentum=0.9)}, LABELS
    ),
    "inject": lambda: optax.inject_hyperparams(optax.adam)(learning_rate=optax.linear_schedule(0.02, 0.01, 6)),
    "multi steps": lambda: optax.MultiSteps(optax.adam(0.02), 2).gradient_transformation(),
    "if finite": lambda: optax.chain(optax.clip_by_global_norm(1.0), optax.apply_if_finite(optax.sgd(0.05), 3)),
    "float64": lambda: optax.adam(0.02),
    "bfloat16": lambda: optax.adam(0.02),
    "bfloat16, lion": lambda: optax.MultiSteps(optax.lion(0.02), 2).gradient_transformation(),
}


def layers(dtype: Any) -> Any:
    return {
        name: {"kernel": helpers.array(i, (6, 4), dtype), "bias": helpers.array(50 + i, (4,), dtype)}
        for i, name in enumerate(METHODS)
    }


def loss(params: Any) -> jax.Array:
    outs = [X.astype(p["bias"].dtype) @ p["kernel"] + p["bias"][None] for p in params.values()]
    return sum((jnp.mean(jnp.square(jnp.tanh(out.astype(jnp.float32)) - Y)) for out in outs), jnp.float32(0))


def parted(names: Iterable[str] = tuple(METHODS)) -> core.Compression:
    return core.partition({f"{name}/kernel": METHODS[name]() for name in names})


def _trained(
    c: core.Compression, optimizer: optax.GradientTransformation, start: Any
) -> tuple[Any, Any, Any, Any, Any]:
    tx = core.as_optax(c, optimizer)

    @jax.jit
    def run(params: Any) -> Any:
        def step(_: int, carry: Any) -> Any:
            params, state = carry
            grads = jax.grad(lambda p: loss(c.view(p, state.compression)))(params)
            updates, state = tx.update(grads, state, params)
            return optax.apply_updates(params, updates), state

        params, state = jax.lax.fori_loop(0, 8, step, (params, tx.init(params)))
        seen, stored = c.view(params, state.compression), c.encode(params, state.compression)
        return params, state, seen, stored

    return (start, *run(start))


# `test_jaxpruner` has other optimizers, the laws of methods momentum and 16-bit trees; `make test-all` runs all here.
@pytest.mark.thorough
@pytest.mark.parametrize("optimizer", helpers.quick(OPTIMISERS, "float64"))
@pytest.mark.loose
def test_every_method_with_every_optimizer(optimizer: str) -> None:
    """It moved, all is finite, dtypes stayed, what was trained is what is stored, and masked moments are zero."""
    with jax.enable_x64(optimizer == "float64"):
        dtype = optimizer.split(",")[0] if "float" in optimizer else "float32"
        start, params, state, seen, stored = _trained(parted(), OPTIMISERS[optimizer](), layers(dtype))
        moving = parted().masks(params, state.compression).moving
        for method in METHODS:
            mine = state.compression.states[list(METHODS).index(method)]
            assert_finite_and_stored(
                method, *(tree[method] for tree in (start, params, seen, core.materialize(stored))), mine
            )
        for method in ("gradual", "static", "set", "rigl", "acdc", "topkast"):
            # What learns has moments, used or not.
            _masked_moments_are_zero(method, ~np.asarray(moving[f"{method}/kernel"]), state.inner, optimizer)


def assert_finite_and_stored(method: str, start: Any, params: Any, seen: Any, stored: Any, state: Any) -> None:
    for name, x in params.items():
        assert x.dtype == start[name].dtype, method
        assert np.isfinite(helpers.float64(x)).all(), method
        assert (np.asarray(x) != np.asarray(start[name])).any(), method
    assert helpers.same_bits(seen["bias"], params["bias"]), method
    kernels = (helpers.float64(tree["kernel"]) for tree in (seen, stored))
    np.testing.assert_allclose(*kernels, rtol=1e-6, err_msg=method)
    for leaf in jax.tree.leaves(state):
        # Keys of random numbers are integers of a type of their own.
        assert not jnp.issubdtype(leaf.dtype, jnp.number) or np.isfinite(helpers.float64(leaf)).all(), method


def _masked_moments_are_zero(method: str, out: np.ndarray, inner: Any, optimizer: str) -> None:
    assert out.any(), method
    found = core.values(inner).items()
    moments = [leaf for path, leaf in found if path.endswith(f"{method}/kernel") and leaf.shape == out.shape]
    assert moments or optimizer == "if finite", method
    for leaf in moments:
        assert not helpers.float64(leaf)[out].any(), method


@pytest.mark.thorough
@pytest.mark.loose
def test_accumulated_gradients_are_one_step() -> None:
    """What counts, grows or learns does so once for two micro-steps, from their mean gradient."""
    names = ("gradual", "set", "rigl", "topkast", "acdc", "movement", "l0", "soft_threshold", "proximal_l1")
    whole, split = (core.as_optax(parted(names), tx) for tx in (optax.sgd(0.1), optax.MultiSteps(optax.sgd(0.1), 2)))
    start = {name: layers(jnp.float32)[name] for name in names}
    # Powers of two, so that the mean is exact.
    noise = [
        jax.tree.map(lambda x, i=i: 2.0 ** -(1 + (3 * i) % 4) * jnp.sign(jnp.cos(7 * x + i)), start) for i in range(8)
    ]
    params, state = start, whole.init(start)
    step = jax.jit(whole.update)
    for one, two in zip(noise[::2], noise[1::2], strict=True):
        updates, state = step(jax.tree.map(lambda a, b: (a + b) / 2, one, two), state, params)
        params = optax.apply_updates(params, updates)
    micro, micro_state = start, split.init(start)
    step = jax.jit(split.update)
    for grads in noise:
        updates, micro_state = step(grads, micro_state, micro)
        micro = optax.apply_updates(micro, updates)
    assert state.compression.states[0].count == 4
    for (path, a), (_, b) in zip(
        *(
            jax.tree_util.tree_leaves_with_path(x)
            for x in ((params, state.compression), (micro, micro_state.compression))
        ),
        strict=True,
    ):
        np.testing.assert_allclose(helpers.float64(a), helpers.float64(b), rtol=1e-5, atol=1e-6, err_msg=str(path))


@pytest.mark.turns(2)
@pytest.mark.parametrize("method", ["movement", "soft_movement", "l0", "variational", "soft_threshold"])
def test_one_bad_gradient_poisons_nothing(method: str) -> None:
    c, start = METHODS[method](), {method: layers(jnp.float32)[method]}
    tx = core.as_optax(c, optax.apply_if_finite(optax.sgd(0.1), 3))
    grads = jax.tree.map(jnp.ones_like, start)
    # At the largest weight: what a threshold or a mask leaves out gets no gradient, bad or good.
    largest = np.unravel_index(np.argmax(np.abs(start[method]["kernel"])), (6, 4))
    grads[method]["kernel"] = grads[method]["kernel"].at[largest].set(jnp.nan)
    updates, state = tx.update(grads, tx.init(start), start)
    assert not any(np.asarray(u).any() for u in jax.tree.leaves(updates))
    for leaf in jax.tree.leaves(state.compression):
        assert bool(jnp.isfinite(leaf.astype(jnp.float32)).all())


def distance(outs: dict[str, jax.Array]) -> jax.Array:
    return sum((jnp.mean(jnp.square(out - Y)) for out in outs.values()), jnp.float32(0))


# Modules see a method by its contract: masks before and after the step, learned scores, random gates.
in_modules = pytest.mark.parametrize(
    "names", [("gradual", "rigl", "movement", "l0"), pytest.param(tuple(METHODS), marks=pytest.mark.thorough)],
    ids=["some", "all"],
)  # fmt: skip


class Many(nn.Module):
    """A layer for every method."""

    names: tuple[str, ...]

    @nn.compact
    def __call__(self, x: jax.Array) -> dict[str, jax.Array]:
        return {name: nn.Dense(4, name=name)(x) for name in self.names}


@pytest.mark.thorough
@in_modules
@pytest.mark.loose
def test_methods_in_a_linen_module(names: tuple[str, ...]) -> None:
    c = parted(names)
    model = modules.Compressed(Many(names), c)
    variables = jax.jit(model.init)(jax.random.key(1), X)
    tx = core.as_optax(c, optax.adam(0.02))

    @jax.jit
    def run(variables: Any) -> Any:
        def step(_: int, carry: Any) -> Any:
            variables, opt = carry
            grads = jax.grad(lambda p: distance(model.apply({**variables, "params": p}, X)))(variables["params"])
            updates, opt = tx.update(grads, opt, variables["params"])
            variables = {**variables, "params": optax.apply_updates(variables["params"], updates)}
            return modules.with_state(variables, opt.compression), opt

        opt = tx.init(variables["params"])
        return jax.lax.fori_loop(0, 6, step, (modules.with_state(variables, opt.compression), opt))[0]

    trained = run(variables)
    stored = core.materialize(modules.encode(trained, c))["params"]
    seen, plain = jax.jit(lambda v, p: (model.apply(v, X), Many(names).apply({"params": p}, X)))(trained, stored)
    for name in names:
        assert bool((trained["params"][name]["kernel"] != variables["params"][name]["kernel"]).any()), name
        np.testing.assert_allclose(seen[name], plain[name], rtol=1e-5, atol=1e-6, err_msg=name)


class ManyNNX(nnx.Module):
    """A layer for every method."""

    def __init__(self, names: tuple[str, ...], rngs: nnx.Rngs) -> None:
        self.names = names
        for name in names:
            setattr(self, name, nnx.Linear(6, 4, rngs=rngs))

    def __call__(self, x: jax.Array) -> dict[str, jax.Array]:
        return {name: getattr(self, name)(x) for name in self.names}


@pytest.mark.thorough
@in_modules
@pytest.mark.loose
def test_methods_in_an_nnx_module(names: tuple[str, ...]) -> None:
    c = parted(names)
    model = modules.NNXCompressed(ManyNNX(names, nnx.Rngs(0)), c)
    optimizer = nnx.Optimizer(model.module, core.as_optax(c, optax.adam(0.02)), wrt=nnx.Param)
    start = {name: np.asarray(getattr(model.module, name).kernel.get_value()) for name in names}

    @nnx.jit
    def step(model: Any, optimizer: Any) -> None:
        optimizer.update(model.module, nnx.grad(lambda m: distance(m(X)))(model)["module"])
        model.set_compression(optimizer.opt_state.compression)

    for _ in range(6):
        step(model, optimizer)
    stored = core.materialize(model.encode()["params"])
    for name, out in nnx.jit(lambda m: m(X))(model).items():
        assert (np.asarray(getattr(model.module, name).kernel.get_value()) != start[name]).any(), name
        plain = X @ stored[name]["kernel"] + stored[name]["bias"][None]
        np.testing.assert_allclose(out, plain, rtol=1e-5, atol=1e-6, err_msg=name)
