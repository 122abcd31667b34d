"""The Linen wrapper against the pure functions that it wraps, bit for bit."""

from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import serialization

from compressjax import core, lift, lowrank, modules, prune, quant, tensors
from tests import toys
from tests.helpers import array


class Block(nn.Module):
    """Dense, batch norm and dropout: parameters, statistics and random numbers."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        x = nn.BatchNorm(use_running_average=not train)(nn.Dense(8)(x))
        return nn.Dropout(0.5, deterministic=not train)(x)


class Model(nn.Module):
    """Two blocks, the first rematerialized, with a method beside `__call__`."""

    def setup(self) -> None:
        self.first = nn.remat(Block, static_argnums=(2,))()
        self.head = nn.Dense(3)

    def features(self, x: jax.Array, train: bool = False) -> jax.Array:
        return nn.relu(self.first(x, train))

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        return self.head(self.features(x, train))


X = array(0, (5, 8))
KEYS = {"params": jax.random.key(0), "dropout": jax.random.key(1)}


def trained(compression: core.Compression) -> tuple[modules.Compressed, dict[str, Any]]:
    """A wrapped model whose state has been updated once."""
    wrapped = modules.Compressed(Model(), compression)
    # Compiled, because one program compiles faster than each operation by itself.
    variables = jax.jit(wrapped.init)(KEYS, X)
    update = jax.jit(lambda v: wrapped.apply(v, mutable=["compression"], method="after_step")[1])
    return wrapped, {**variables, **update(variables)}


def equal(a: Any, b: Any) -> bool:
    return jax.tree.structure(a) == jax.tree.structure(b) and all(
        np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


def test_parameters_are_those_of_the_dense_model():
    dense = Model().init(KEYS, X)
    variables = modules.Compressed(Model(), toys.mask()).init(KEYS, X)
    assert set(variables) == {"params", "batch_stats", "compression"}
    assert equal({k: variables[k] for k in dense}, dense)


def test_state_is_readable_by_name():
    _, variables = trained(toys.mask(0.25))
    masks = variables["compression"]["mask"]
    assert masks["first"]["Dense_0"]["kernel"].sum() == 16
    assert masks["head"]["kernel"].shape == (8, 3)


@pytest.mark.turns(2)
@pytest.mark.parametrize("jit", [False, True])
def test_forward_is_the_core_view_bit_for_bit(jit):
    compression = core.chain(toys.mask(), quant.fake_quant(4))
    wrapped, variables = trained(compression)
    rngs = {"dropout": jax.random.key(3)}

    def inside(v: Any) -> Any:
        return wrapped.apply(v, X, True, rngs=rngs, mutable=["batch_stats"])

    def outside(v: Any) -> Any:
        params = compression.view(v["params"], modules.state_of(v, compression))
        return Model().apply({**v, "params": params}, X, True, rngs=rngs, mutable=["batch_stats"])

    got, expected = (jax.jit(f)(variables) if jit else f(variables) for f in (inside, outside))
    assert equal(got, expected)
    assert not equal(got[1], {"batch_stats": variables["batch_stats"]})
    dense = Model().apply({k: variables[k] for k in ("params", "batch_stats")}, X)
    assert not np.array_equal(wrapped.apply(variables, X), dense)


def test_the_wrapper_adds_no_operations():
    compression = core.chain(toys.mask(), quant.fake_quant(4))
    wrapped, variables = trained(compression)

    def outside(v: Any) -> Any:
        return Model().apply({**v, "params": compression.view(v["params"], modules.state_of(v, compression))}, X)

    inside, outside = (jax.jit(f).lower(variables).compile().cost_analysis()
                       for f in (lambda v: wrapped.apply(v, X), outside))  # fmt: skip
    assert {k: inside[k] for k in ("flops", "bytes accessed")} == {k: outside[k] for k in ("flops", "bytes accessed")}


@pytest.mark.thorough
def test_gradient_is_the_core_gradient():
    compression = core.chain(toys.mask(), quant.fake_quant(4))
    wrapped, variables = trained(compression)
    state = modules.state_of(variables, compression)
    got = jax.grad(lambda p: wrapped.apply({**variables, "params": p}, X).sum())(variables["params"])
    expected = jax.grad(
        lambda p: Model().apply({**variables, "params": compression.view(p, state)}, X).sum()
    )(variables["params"])  # fmt: skip
    assert equal(got, expected)
    assert np.all(got["head"]["kernel"][~variables["compression"]["states"]["0"]["mask"]["head"]["kernel"]] == 0)


@pytest.mark.thorough
def test_other_methods_by_name_and_by_function():
    compression = toys.mask()
    wrapped, variables = trained(compression)
    params = compression.view(variables["params"], modules.state_of(variables, compression))
    expected = Model().apply({**variables, "params": params}, X, method="features")
    assert np.array_equal(wrapped.apply(variables, X, method="features"), expected)
    assert np.array_equal(wrapped.bind(variables).features(X), expected)
    assert np.array_equal(wrapped.apply(variables, Model.features, X, method="call_viewed"), expected)
    with pytest.raises(AttributeError, match="no_such"):
        wrapped.apply(variables, X, method="no_such")


def test_update_in_the_call_is_an_update_before_it():
    wrapped = modules.Compressed(Model(), toys.mask())
    variables = wrapped.init(KEYS, X)
    out, new = wrapped.apply(variables, X, update=True, mutable=["compression"])
    _, expected = wrapped.apply(variables, mutable=["compression"], method="after_step")
    assert equal(new, expected)
    assert not equal(new["compression"], variables["compression"])
    assert np.array_equal(out, wrapped.apply({**variables, **new}, X))


def test_a_forward_pass_leaves_the_state_alone():
    wrapped, variables = trained(toys.mask())
    _, new = wrapped.apply(variables, X, True, rngs=KEYS, mutable=["batch_stats", "compression"])
    assert equal(new["compression"], variables["compression"])


def test_update_needs_a_mutable_collection():
    wrapped, variables = trained(toys.mask())
    with pytest.raises(ValueError, match=r"mutable=\['compression'\]"):
        wrapped.apply(variables, X, update=True)


def test_update_may_not_change_the_structure():
    wrapped = modules.Compressed(nn.Dense(3), toys.weighted())
    variables = modules.attach(nn.Dense(3).init(KEYS, X), toys.weighted())
    stats = {"kernel": {"norm": jnp.ones(8)}}
    with pytest.raises(ValueError, match=r"toy.weighted: the step changes the structure of the state .* compress\(\)"):
        wrapped.apply(variables, stats, mutable=["compression"], method="after_step")


def test_a_dense_checkpoint_loads():
    dense = Model().init(KEYS, X)
    dense = serialization.from_bytes(dense, serialization.to_bytes(dense))
    wrapped = modules.Compressed(Model(), toys.mask())
    with pytest.raises(ValueError, match=r"toy.mask: .* nothing at 'mask/.*modules.attach"):
        wrapped.apply(dense, X)
    assert np.array_equal(wrapped.apply(modules.attach(dense, toys.mask()), X), Model().apply(dense, X))
    made, new = wrapped.apply(dense, X, mutable=["compression"], update=True)
    assert np.array_equal(made, wrapped.apply({**dense, **new}, X))


@pytest.mark.turns(2)
@pytest.mark.parametrize("joined", [True, False])
def test_masked_weights_stay_frozen_under_adamw_when_it_is_joined(joined):
    compression = prune.gradual(0.5, end=1, every=1)
    wrapped, variables = trained(compression)
    before = np.asarray(variables["params"]["head"]["kernel"])
    kept = np.asarray(variables["compression"]["masks"]["head"]["kernel"])
    tx = optax.adamw(0.1, weight_decay=0.1)
    if joined:
        tx = core.as_optax(compression, tx)
    opt = tx.init(variables["params"])
    if joined:
        opt = opt._replace(compression=modules.state_of(variables, compression))

    @jax.jit
    def step(variables: Any, opt: Any) -> Any:
        grads = jax.grad(lambda p: wrapped.apply({**variables, "params": p}, X).sum())(variables["params"])
        updates, opt = tx.update(grads, opt, variables["params"])
        variables = {**variables, "params": optax.apply_updates(variables["params"], updates)}
        return modules.with_state(variables, opt.compression) if joined else variables, opt

    for _ in range(3):
        variables, opt = step(variables, opt)
    after = np.asarray(variables["params"]["head"]["kernel"])
    assert kept.sum() == 12
    assert np.array_equal(variables["compression"]["masks"]["head"]["kernel"], kept)
    assert np.all(after[kept] != before[kept])
    # Alone, the optimizer's decay moves what the mask hides: nobody sees it, but it moves.
    assert np.array_equal(after[~kept], before[~kept]) == joined


class Around(nn.Module):
    """A wrapper inside `nn.scan`: one mask a layer."""

    @nn.compact
    def __call__(self, x: jax.Array, update: bool = False) -> jax.Array:
        scan = nn.scan(
            lambda layer, x, _: (layer(x, update=update), None),
            variable_axes={"params": 0, "compression": 0}, split_rngs={"params": True}, length=3,
        )  # fmt: skip
        return scan(modules.Compressed(nn.Dense(8), toys.mask()), x, None)[0]


class Inside(nn.Module):
    """`nn.scan` inside the wrapper: one leaf for all layers."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        scan = nn.scan(
            lambda layer, x, _: (layer(x), None),
            variable_axes={"params": 0}, split_rngs={"params": True}, length=3,
        )  # fmt: skip
        return scan(nn.Dense(8), x, None)[0]


@pytest.mark.thorough
def test_around_a_scan_each_layer_has_its_state():
    variables = Around().init(KEYS, X)
    out, new = Around().apply(variables, X, True, mutable=["compression"])
    masks, kernels = new["compression"]["Dense_0"]["mask"]["kernel"], variables["params"]["Dense_0"]["kernel"]
    assert masks.sum(axis=(1, 2)).tolist() == [32, 32, 32]
    y = X
    for mask, kernel in zip(masks, kernels, strict=True):
        y = y @ jnp.where(mask, kernel, 0)
    assert np.allclose(out, y, rtol=1e-5)


def test_inside_the_wrapper_a_scan_sees_the_view():
    wrapped = modules.Compressed(Inside(), toys.mask(0.125))
    variables = wrapped.init(KEYS, X)
    out, new = wrapped.apply(variables, X, update=True, mutable=["compression"])
    params = toys.mask().view(variables["params"], modules.state_of({**variables, **new}, toys.mask()))
    assert int((params["Dense_0"]["kernel"] != 0).sum()) == 24
    assert np.array_equal(out, Inside().apply({"params": params}, X))


class Parts(nn.Module):
    """Two wrapped layers of a larger model, each with a compression of its own."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = modules.Compressed(nn.Dense(8), toys.mask())(x)
        return modules.Compressed(nn.Dense(3), quant.fake_quant(4))(nn.relu(x))


def test_parts_of_a_model_are_wrapped_one_by_one():
    variables = Parts().init(KEYS, X)
    assert set(variables["params"]) == {"Dense_0", "Dense_1"}
    assert set(variables["compression"]) == {"Dense_0", "Dense_1"}
    part = {name: variables[name]["Dense_1"] for name in ("params", "compression")}
    seen = quant.fake_quant(4).view(part["params"], modules.state_of(part, quant.fake_quant(4)))
    params = variables["params"]
    expected = nn.Dense(3).apply({"params": seen}, nn.relu(nn.Dense(8).apply({"params": params["Dense_0"]}, X)))
    assert np.array_equal(Parts().apply(variables, X), expected)


def test_boxed_parameters():
    init = nn.with_partitioning(nn.initializers.lecun_normal(), (None, "model"))
    wrapped = modules.Compressed(nn.Dense(4, kernel_init=init), toys.mask())
    variables = wrapped.init(KEYS, X)
    out, new = wrapped.apply(variables, X, update=True, mutable=["compression"])
    kernel = nn.meta.unbox(variables["params"])["kernel"]
    assert np.array_equal(out, X @ jnp.where(new["compression"]["mask"]["kernel"], kernel, 0))
    encoded = modules.encode({**variables, **new}, toys.mask())
    assert np.array_equal(X @ encoded["params"]["kernel"].materialize(), out)


def test_a_stateless_compression_has_no_collection():
    wrapped = modules.Compressed(nn.Dense(3), toys.grid())
    variables = wrapped.init(KEYS, X)
    assert set(variables) == {"params"}
    kernel = variables["params"]["kernel"]
    assert np.array_equal(wrapped.apply(variables, X), X @ (jnp.round(kernel * 4) / 4))


def test_init_works_on_abstract_values():
    wrapped = modules.Compressed(Model(), core.chain(prune.gradual(0.5, end=2), quant.fake_quant(4)))
    abstract = jax.eval_shape(wrapped.init, KEYS, X)
    concrete = wrapped.init(KEYS, X)
    assert jax.tree.structure(abstract) == jax.tree.structure(concrete)


def test_train_encode_and_lift():
    compression = core.chain(prune.gradual(0.75, begin=2, end=12, every=5), quant.fake_quant(4))
    wrapped = modules.Compressed(Model(), compression)
    y = array(7, (5, 3))
    variables = wrapped.init(KEYS, X)
    tx = core.as_optax(compression, optax.adamw(1e-2))
    opt, traces = tx.init(variables["params"]), []

    @jax.jit
    def step(variables: Any, opt: Any, key: jax.Array) -> Any:
        traces.append(1)

        def loss(params: Any) -> Any:
            out, new = wrapped.apply(
                {**variables, "params": params}, X, True, rngs={"dropout": key}, mutable=["batch_stats"]
            )
            return jnp.mean((out - y) ** 2), new

        grads, new = jax.grad(loss, has_aux=True)(variables["params"])
        updates, opt = tx.update(grads, opt, variables["params"])
        variables = {**variables, **new, "params": optax.apply_updates(variables["params"], updates)}
        return modules.with_state(variables, opt.compression), opt

    first = float(jnp.mean((wrapped.apply(variables, X) - y) ** 2))
    for key in jax.random.split(jax.random.key(5), 20):
        variables, opt = step(variables, opt, key)
    assert len(traces) == 1
    assert float(jnp.mean((wrapped.apply(variables, X) - y) ** 2)) < first
    stored = modules.encode(variables, compression)
    assert set(stored) == {"params", "batch_stats"}
    assert core.values(stored["batch_stats"]).keys() == core.values(variables["batch_stats"]).keys()
    out = wrapped.apply(variables, X)
    assert np.array_equal(Model().apply(core.materialize(stored), X), out)
    assert np.allclose(lift(Model().apply)(stored, X), out, rtol=1e-5, atol=1e-5)
    node = stored["params"]["head"]["kernel"]
    assert int(node.mask.sum()) == 6
    assert node.value.bits == 4


def test_steps_by_hand_do_what_as_optax_does():
    learner, y = toys.learner(), array(7, (5, 3))
    model = modules.Compressed(nn.Dense(3), learner)
    joined, plain = core.as_optax(learner, optax.sgd(0.1)), optax.sgd(0.1)
    a = b = model.init(jax.random.key(0), X)
    opt, moments = joined.init(a["params"]), plain.init(a["params"])

    def gradient(variables: Any) -> Any:
        return jax.grad(lambda p: jnp.sum((model.apply({**variables, "params": p}, X) - y) ** 2))(variables["params"])

    for _ in range(3):
        updates, opt = joined.update(gradient(a), opt, a["params"])
        a = modules.with_state({**a, "params": optax.apply_updates(a["params"], updates)}, opt.compression)
        raw = gradient(b)
        with pytest.raises(ValueError, match="not mutable"):
            model.apply(b, raw, method="before_step")
        grads, new = model.apply(b, raw, method="before_step", mutable=["compression"])
        updates, moments = plain.update(grads, moments)
        b = {**b, **new, "params": optax.apply_updates(b["params"], updates)}
        params, new = model.apply(b, method="after_step", mutable=["compression"])
        b = {**b, **new, "params": params}
    assert 0 < int((a["params"]["kernel"] == 0).sum()) < a["params"]["kernel"].size
    for x, z in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, z, rtol=1e-5, atol=1e-6)


def test_every_layer_has_a_compression_of_its_own():
    """One partition in the place of layers that bring theirs; a sequence in one of them trains, and is stored."""
    factors = core.sequence(lowrank.svd(rank=2), quant.fake_quant(8))
    rules = core.partition({"layers_0/kernel": factors, "layers_2/kernel": toys.learner(0.1)})
    net = nn.Sequential([nn.Dense(8), nn.relu, nn.Dense(3)])
    wrapped = modules.Compressed(net, rules)
    variables, y = jax.jit(wrapped.init)(KEYS, X), array(7, (5, 3))
    tx = core.as_optax(rules, optax.adam(1e-2))
    opt = tx.init(variables["params"])

    @jax.jit
    def step(variables: Any, opt: Any) -> Any:
        def loss(params: Any) -> Any:
            return jnp.mean((wrapped.apply({**variables, "params": params}, X) - y) ** 2)

        error, grads = jax.value_and_grad(loss)(variables["params"])
        updates, opt = tx.update(grads, opt, variables["params"])
        variables = {**variables, "params": optax.apply_updates(variables["params"], updates)}
        return modules.with_state(variables, opt.compression), opt, error

    errors = []
    for _ in range(10):
        variables, opt, error = step(variables, opt)
        errors.append(float(error))
    assert errors[-1] < errors[0]
    stored = modules.encode(variables, rules)["params"]
    assert isinstance(stored["layers_0"]["kernel"].left, tensors.Quantized)
    assert isinstance(stored["layers_2"]["kernel"], tensors.Masked)
    out = net.apply({"params": core.materialize(stored)}, X)
    assert np.array_equal(out, wrapped.apply(variables, X))


def test_a_view_of_nodes_runs_through_lift():
    """Random streams, statistics and methods as without it; the range inside the node cuts what enters the layer."""
    compression = core.only("head/kernel", toys.ranged(0.5))
    wrapped = modules.Compressed(Model(), compression)
    variables = jax.jit(wrapped.init)(KEYS, X)
    dense = {name: variables[name] for name in ("params", "batch_stats")}
    h = jnp.clip(Model().apply(dense, X, method="features"), -0.5, 0.5)
    head = dense["params"]["head"]
    expected = jnp.round(h * 254) / 254 @ head["kernel"] + head["bias"][None]
    np.testing.assert_allclose(wrapped.apply(variables, X), expected, rtol=1e-4, atol=1e-5)
    _, new = wrapped.apply(variables, X, True, rngs=KEYS, mutable=["batch_stats"])
    _, asked = Model().apply(dense, X, True, rngs=KEYS, mutable=["batch_stats"])
    chex.assert_trees_all_close(new, asked, rtol=1e-5)
