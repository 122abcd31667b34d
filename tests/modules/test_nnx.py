"""The NNX wrapper against the pure functions that it wraps, bit for bit."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from compressjax import core, lift, lowrank, modules, prune, quant, tensors
from tests import toys
from tests.helpers import array

X = array(0, (5, 4))


class Net(nnx.Module):
    """Layers in a list, batch norm, dropout."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.first = nnx.Linear(4, 8, rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.layers = nnx.List([nnx.Linear(8, 8, rngs=rngs), nnx.Linear(8, 3, rngs=rngs)])

    def features(self, x: jax.Array) -> jax.Array:
        return self.drop(self.norm(self.first(x)))

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.features(x)
        for layer in self.layers:
            x = layer(x)
        return x


def pair(compression: core.Compression) -> tuple[modules.NNXCompressed, Net]:
    """A wrapped network whose state was updated, and a plain one that has the viewed weights."""
    wrapped = modules.NNXCompressed(Net(nnx.Rngs(0)), compression)
    wrapped.after_step()
    plain = Net(nnx.Rngs(0))
    params = nnx.to_pure_dict(nnx.state(plain, nnx.Param))
    state = compression.after_step(params, compression.init(params))[1]
    viewed = nnx.state(plain, nnx.Param)
    nnx.replace_by_pure_dict(viewed, compression.view(params, state))
    nnx.update(plain, viewed)
    return wrapped, plain


def rest(module: nnx.Module) -> list[np.ndarray]:
    """Everything but parameters and masks: statistics, random counters."""
    leaves = jax.tree.leaves(nnx.to_pure_dict(nnx.state(module, nnx.Not(nnx.Param))))
    return [np.asarray(jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x) for x in leaves]


@pytest.mark.turns(2)
@pytest.mark.parametrize("jit", [False, True])
def test_forward_is_the_core_view_bit_for_bit(jit):
    wrapped, plain = pair(core.chain(toys.mask(), quant.fake_quant(4)))
    call = nnx.jit(lambda module, x: module(x)) if jit else lambda module, x: module(x)
    for _ in range(2):
        assert np.array_equal(call(wrapped, X), call(plain, X))
    after = rest(plain)
    assert all(np.array_equal(a, b) for a, b in zip(rest(wrapped.module), after, strict=True))
    assert not np.array_equal(wrapped.module.norm.mean.get_value(), np.zeros(8))
    wrapped.eval()
    plain.eval()
    assert np.array_equal(call(wrapped, X), call(plain, X))
    assert not np.array_equal(call(wrapped, X), call(wrapped.module, X))


def test_other_functions_of_the_module():
    wrapped, plain = pair(toys.mask())
    assert np.array_equal(wrapped.call_viewed(Net.features, X), plain.features(X))


def test_gradients_reach_the_dense_parameters_only():
    compression = toys.mask()
    wrapped, _ = pair(compression)
    wrapped.eval()
    grads = nnx.grad(lambda m: m(X).sum())(wrapped)
    assert set(grads) == {"module"}
    assert core.values(grads["module"]).keys() == core.values(nnx.state(wrapped.module, nnx.Param)).keys()
    kept = wrapped.compression_state.get_value().mask["layers/1/kernel"]
    got = core.values(grads["module"])["layers/1/kernel"]
    assert np.array_equal(got != 0, kept)


def test_state_is_a_variable_of_its_own_type():
    wrapped, _ = pair(toys.mask())
    assert wrapped.compression_state.get_value().mask["first/kernel"].sum() == 16
    graph, params, masks, others = nnx.split(wrapped, nnx.Param, modules.CompressionState, ...)
    assert len(jax.tree.leaves(masks)) == 3
    merged = nnx.merge(graph, params, masks, others)
    merged.eval()
    wrapped.eval()
    assert np.array_equal(merged(X), wrapped(X))


def test_evaluation_writes_nothing():
    wrapped, _ = pair(toys.mask())
    wrapped.eval()
    # Variables of an outer trace may be read, and not written, inside another transformation.
    assert np.array_equal(jax.vmap(lambda x: wrapped(x[None])[0])(X), wrapped(X))


class Sowing(nnx.Module):
    """Records what its layer returns."""

    def __init__(self) -> None:
        self.layer = nnx.Linear(4, 2, rngs=nnx.Rngs(0))

    def __call__(self, x: jax.Array) -> jax.Array:
        y = self.layer(x)
        self.sow(nnx.Intermediate, "seen", y)
        return y


def test_what_a_pass_records_is_captured():
    wrapped = modules.NNXCompressed(Sowing(), toys.mask())
    out, seen = nnx.capture(wrapped, nnx.Intermediate)(X)
    assert np.array_equal(jax.tree.leaves(seen)[0], out)


@pytest.mark.filterwarnings("ignore:Using 'Module.sow:DeprecationWarning")
def test_variables_that_a_pass_makes_are_written_back():
    wrapped = modules.NNXCompressed(Sowing(), toys.mask())
    out = wrapped(X)
    assert np.array_equal(wrapped.module.seen.get_value()[0], out)


@pytest.mark.parametrize("jit", [False, True])
def test_a_step_is_the_core_step(jit):
    compression = prune.gradual(0.5, end=2, every=1)
    wrapped = modules.NNXCompressed(Net(nnx.Rngs(0)), compression)
    params = nnx.to_pure_dict(nnx.state(wrapped.module, nnx.Param))
    state = compression.init(params)
    update = nnx.jit(lambda m: m.after_step()) if jit else lambda m: m.after_step()
    for _ in range(2):
        update(wrapped)
        _, state = compression.after_step(params, state)
    got = wrapped.compression_state.get_value()
    assert jax.tree.structure(got) == jax.tree.structure(state)
    assert jax.tree.all(jax.tree.map(lambda x, y: (x == y).all(), got, state))
    assert int(got.masks["first/kernel"].sum()) == 16


def test_a_dense_checkpoint_loads():
    dense = Net(nnx.Rngs(1))
    wrapped, _ = pair(quant.fake_quant(8))
    nnx.update(wrapped.module, nnx.state(dense, nnx.Param))
    assert np.array_equal(wrapped.module.first.kernel.get_value(), dense.first.kernel.get_value())


def test_train_encode_and_lift():
    compression = core.chain(prune.gradual(0.75, begin=2, end=12, every=5), quant.fake_quant(4))
    wrapped, y = modules.NNXCompressed(Net(nnx.Rngs(0)), compression), array(7, (5, 3))
    tx = core.as_optax(compression, optax.adamw(1e-2, weight_decay=0.1))
    optimizer, traces = nnx.Optimizer(wrapped.module, tx, wrt=nnx.Param), []

    @nnx.jit
    def step(model: modules.NNXCompressed, optimizer: nnx.Optimizer) -> jax.Array:
        traces.append(1)
        loss, grads = nnx.value_and_grad(lambda m: jnp.mean((m(X) - y) ** 2))(model)
        optimizer.update(model.module, grads["module"])
        model.set_compression(optimizer.opt_state.compression)
        return loss

    for _ in range(14):
        step(wrapped, optimizer)
    assert len(traces) == 1
    kept = np.asarray(wrapped.compression_state.get_value().states[0].masks["layers/1/kernel"])
    before = np.asarray(wrapped.module.layers[1].kernel.get_value())
    for _ in range(6):
        step(wrapped, optimizer)
    after = np.asarray(wrapped.module.layers[1].kernel.get_value())
    assert kept.sum() == 6
    assert np.array_equal(after[~kept], before[~kept])
    assert not np.any(after[kept] == before[kept])
    wrapped.eval()
    out, stored = wrapped(X), wrapped.encode()
    apply = modules.functional(wrapped.module)
    assert np.array_equal(apply(core.materialize(stored), X), out)
    assert np.allclose(lift(apply)(stored, X), out, rtol=1e-5, atol=1e-5)
    assert set(core.values(stored["rest"])) == {"norm/mean", "norm/var"}
    assert stored["params"]["layers"][1]["kernel"].value.bits == 4


def test_functional_does_not_change_the_module():
    net = Net(nnx.Rngs(0))
    tree = modules.NNXCompressed(net, toys.mask()).encode()
    before = rest(net)
    apply: Any = modules.functional(net)
    apply(core.materialize(tree), X)
    assert all(np.array_equal(a, b) for a, b in zip(rest(net), before, strict=True))
    tree["rest"]["norm"]["mean"] = tree["rest"]["norm"]["mean"] + 1
    net.eval()
    apply = modules.functional(net)
    assert not np.array_equal(apply(core.materialize(tree), X), net(X))


def test_steps_by_hand_do_what_as_optax_does():
    learner = core.only("(first|layers/0)/kernel", toys.learner(0.3))
    by_hand, joined = modules.NNXCompressed(Net(nnx.Rngs(0)), learner), modules.NNXCompressed(Net(nnx.Rngs(0)), learner)
    optimizer = nnx.Optimizer(by_hand.module, optax.sgd(0.05), wrt=nnx.Param)
    other = nnx.Optimizer(joined.module, core.as_optax(learner, optax.sgd(0.05)), wrt=nnx.Param)
    for _ in range(3):
        for model in (by_hand, joined):
            grads = nnx.grad(lambda m: jnp.sum(m.call_viewed(lambda n, x: n.layers[0](n.first(x)), X)))(model)
            if model is by_hand:
                optimizer.update(model.module, model.before_step(grads["module"]))
                model.after_step()
            else:
                other.update(model.module, grads["module"])
                model.set_compression(other.opt_state.compression)
    a, b = (core.values(nnx.state(model.module, nnx.Param)) for model in (by_hand, joined))
    assert 0 < int((a["first/kernel"] == 0).sum()) < a["first/kernel"].size
    for path, x in a.items():
        np.testing.assert_allclose(x, b[path], rtol=1e-6, atol=1e-7)


@pytest.mark.thorough
def test_every_layer_has_a_compression_of_its_own():
    factors = core.sequence(lowrank.svd(rank=2), quant.fake_quant(8))
    rules = core.partition({"first/kernel": factors, "layers/1/kernel": toys.ranged(0.1)})
    model, y = modules.NNXCompressed(Net(nnx.Rngs(0)), rules), array(7, (5, 3))
    optimizer = nnx.Optimizer(model.module, core.as_optax(rules, optax.adam(1e-2)), wrt=nnx.Param)

    @nnx.jit
    def step(model: modules.NNXCompressed, optimizer: nnx.Optimizer) -> jax.Array:
        loss, grads = nnx.value_and_grad(lambda m: jnp.mean((m(X) - y) ** 2))(model)
        optimizer.update(model.module, grads["module"])
        model.set_compression(optimizer.opt_state.compression)
        return loss

    counts = [int(model.module.drop.rngs.count.get_value())]
    for _ in range(3):
        assert np.isfinite(step(model, optimizer))
        counts.append(int(model.module.drop.rngs.count.get_value()))
    assert counts == [0, 1, 2, 3]
    assert np.any(model.module.norm.mean.get_value() != 0)
    model.eval()
    stored = model.encode()
    assert isinstance(stored["params"]["first"]["kernel"].left, tensors.Quantized)
    assert isinstance(stored["params"]["layers"][1]["kernel"], toys.Ranged)
    apply = modules.functional(model.module)
    assert np.array_equal(lift(apply, on_fallback="ignore")(stored, X), model(X))
    assert not np.allclose(apply(core.materialize(stored), X), model(X), rtol=1e-5)
