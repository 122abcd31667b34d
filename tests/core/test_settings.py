"""Settings are read in one place: scalars of any library pass, and what is no setting is refused by name."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import core, distill, lowrank, prune, quant, saliency, share, tensors
from compressjax.core._settings import as_int, as_number, as_scalar
from compressjax.interpret import lift, merge, observe
from compressjax.prune import schedules

PARAMS = {"kernel": jnp.arange(16.0).reshape(4, 4) - 7}


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        (lambda: quant.rtn(np.int64(4), granularity=jnp.int32(2)), lambda: quant.rtn(4, granularity=2)),
        (lambda: lowrank.svd(rank=np.float32(0.25)), lambda: lowrank.svd(rank=0.25)),
        (lambda: lowrank.svd(rank=np.int32(1)), lambda: lowrank.svd(rank=1)),
        (lambda: prune.magnitude(jnp.float32(0.5)), lambda: prune.magnitude(0.5)),
        (lambda: share.kmeans(jnp.int32(2)), lambda: share.kmeans(2)),
    ],
)
def test_scalars_of_numpy_and_jax(given: Callable[[], Any], plain: Callable[[], Any]) -> None:
    one, two = (core.materialize(core.compress(PARAMS, {".*": make()}))["kernel"] for make in (given, plain))
    np.testing.assert_array_equal(one, two)


KEY = jax.random.key(0)

# Setting, what it makes, and a value in range.
SETTINGS: list[tuple[str, Callable[[Any], Any], float]] = [
    ("end", lambda x: schedules.linear(0.5, end=x), 4),
    ("begin", lambda x: schedules.exponential(0.5, begin=x, end=9), 4),
    ("initial", lambda x: schedules.cubic(0.5, initial=x, end=9), 0.25),
    ("power", lambda x: schedules.polynomial(0.5, end=9, power=x), 2),
    ("at", lambda x: schedules.at_once(0.5, at=x), 3),
    ("rounds", lambda x: schedules.iterative(0.5, rounds=x, end=9), 4),
    ("periods", lambda x: schedules.periodic(0.5, periods=x, end=9), 3),
    ("begin", lambda x: prune.gradual(0.5, begin=x, end=9), 4),
    ("every", lambda x: prune.gradual(0.5, end=9, every=x), 4),
    ("every", lambda x: prune.movement(0.5, end=9, every=x), 4),
    ("threshold", lambda x: prune.soft_movement(x, penalty=1.0), 0.25),
    ("penalty", lambda x: prune.soft_movement(penalty=x), 0.25),
    ("backward_sparsity", lambda x: prune.topkast(0.5, x), 0.25),
    ("explore_until", lambda x: prune.topkast(0.5, 0.25, explore_until=x), 3),
    ("every", lambda x: prune.acdc(0.5, begin=0, every=x, end=9), 4),
    ("end", lambda x: prune.ste(0.5, pattern="unstructured", end=x), 4),
    ("decay", lambda x: prune.sr_ste(decay=x), 0.25),
    ("fraction", lambda x: prune.rigl(0.5, KEY, end=9, fraction=x), 0.25),
    ("every", lambda x: prune.set_(0.5, KEY, end=9, every=x), 4),
    ("keep", lambda x: prune.l0(0.0, KEY, end=4, keep=x), 0.25),
    ("units", lambda x: prune.l0(0.0, KEY, end=4, units=x), 1),
    ("examples", lambda x: prune.variational(x, KEY, end=4), 100),
    ("strength", lambda x: prune.variational(100, KEY, end=4, strength=x), 0.5),
    ("decay", lambda x: prune.soft_threshold(decay=x), 0.5),
    ("initial", lambda x: prune.soft_threshold(initial=x), -4.0),
    ("strength", prune.proximal_l1, 0.5),
    ("axis", lambda x: prune.proximal_group(0.5, axis=x), 1),
    ("every", lambda x: prune.proximal_nuclear(0.5, every=x), 2),
    ("rate", lambda x: next(prune.lottery_ticket(lambda p, c: p, PARAMS, rounds=1, rate=x)), 0.5),
    ("steps", lambda x: saliency.synflow(lambda p, x: x @ p["kernel"], jnp.ones((1, 4)), steps=x), 3),
    ("temperature", lambda x: distill.soft_targets(jnp.arange(3.0), x), 2.0),
    ("alpha", lambda x: distill.soft_target_loss(jnp.arange(3.0), jnp.ones(3), jnp.ones((), int), alpha=x), 0.5),
]  # fmt: skip


@pytest.mark.parametrize(("name", "make", "given"), SETTINGS)
def test_every_setting_is_read_alike(name: str, make: Callable[[Any], Any], given: float) -> None:
    def seen(x: Any) -> Any:
        made = make(x)
        if isinstance(made, schedules.Schedule):
            return made.name, made(5)
        return getattr(made, "name", made)

    array = np.asarray(given, np.int64 if isinstance(given, int) else np.float32)
    for scalar in (array[()], jnp.asarray(array)):
        jax.tree.map(np.testing.assert_array_equal, seen(scalar), seen(given))
    for wrong, shown in (("4", "a str '4'"), (True, "a bool True")):
        with pytest.raises(ValueError, match=f"{name} is {shown}; it must be a"):
            make(wrong)


def test_what_is_compressed_already_is_named() -> None:
    """Which leaves are nodes, and the ways out; values inside nodes can be selected."""
    words = r"compressed already: kernel \(Quantized\); .* core.sequence\(first, second\).* core.materialize"
    with pytest.raises(ValueError, match=words):
        core.compress(core.compress(PARAMS, quant.rtn(4)), prune.magnitude(0.5))
    shared = core.compress(PARAMS, share.kmeans(4))
    with pytest.raises(ValueError, match=r"has kernel/centroids \(4,\); compressed already: kernel \(Codebook\)"):
        core.compress(shared, {"kernel": quant.rtn(4)})
    assert "Masked" in repr(core.compress(shared, {"kernel/centroids": prune.magnitude(0.5)}))
    seen = observe(lambda p, x: x @ p["kernel"])(PARAMS, jnp.ones((2, 4)))[1]
    with pytest.raises(ValueError, match="kernel/left .* it is in a node, and statistics .* are of dense leaves"):
        core.compress(core.compress(PARAMS, lowrank.svd(rank=1)), prune.wanda(0.5), seen)


def test_nodes_of_another_shape_are_named_by_lift() -> None:
    small = {"kernel": tensors.Masked(jnp.ones((4, 3)), jnp.ones((4, 3), bool))}
    with pytest.raises(TypeError) as failure:
        lift(lambda p, x: (x @ p["kernel"]) @ jnp.ones((4, 2)))(small, jnp.ones((2, 4)))
    assert "these nodes: kernel Masked[4, 3]" in "".join(failure.value.__notes__)


def test_numbers() -> None:
    assert (as_number("x", "y", np.int8(3)), as_number("x", "y", 0.5), as_int("x", "y", jnp.uint8(3))) == (3, 0.5, 3)
    assert isinstance(as_number("x", "y", np.int8(3)), int)
    assert jax.eval_shape(lambda y: as_scalar("x", "y", y), np.int8(3)).dtype == np.float32
    with pytest.raises(ValueError, match="x: y is"):
        as_scalar("x", "y", "3")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: quant.rtn("8"), "rtn: bits is a str '8'; it must be an integer"),
        (lambda: quant.rtn(True), "bits is a bool True"),
        (lambda: prune.magnitude("0.5"), "sparsity is a str '0.5'; it must be a number"),
        (lambda: lowrank.svd(rank="4"), "svd: rank='4' is unknown; use a number"),
        (lambda: core.chain(prune.magnitude(0.5), quant.rtn), "chain: the function rtn is not a compression; call it"),
        (lambda: core.chain(optax.adam(0.1)), "optimizers go to as_optax"),
        (lambda: core.sequence(optax.adam(0.1), quant.rtn(4)), "sequence.*optimizers go to as_optax"),
        (lambda: core.compress(PARAMS, {".*": quant.rtn}), "the function rtn is not a compression"),
        (lambda: core.compress(PARAMS, {5: quant.rtn(4)}), "selector 5 is no selector"),
        (lambda: core.as_optax(optax.sgd(0.1), quant.rtn(4)), r"the order is as_optax\(compression, optimizer\)"),
        (lambda: core.compress({"a": 3, "b": "x", "c": None}, {".*": quant.rtn(4)}), r"a \(int\)"),
        (lambda: quant.rtn(4).init({"a": jnp.arange(3)}), r"a \(int32\)"),
        (lambda: merge(1, 2), "merge: got int and int"),
    ],
)
def test_what_is_no_setting(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_gradients_of_another_shape() -> None:
    tx = core.as_optax(prune.magnitude(0.5), optax.sgd(0.1))
    state = tx.init(PARAMS)
    with pytest.raises(ValueError, match=r"gradient of 'kernel' has shape \(2,\), but the leaf has \(4, 4\)"):
        tx.update({"kernel": jnp.ones(2)}, state, PARAMS)
    with pytest.raises(ValueError, match=r"not have the same values: \['bias', 'kernel'\]"):
        tx.update({"bias": jnp.ones(2)}, state, PARAMS)


def test_the_whole_result_of_observe() -> None:
    seen = observe(lambda p, x: x @ p["kernel"])(PARAMS, jnp.ones((2, 4)))
    with pytest.raises(ValueError, match=r"stats is a tuple.*pass the second"):
        core.compress(PARAMS, {".*": quant.rtn(8, activation="static")}, seen)
    both = merge(seen[1], {**seen[1], "other": seen[1]["kernel"]})
    assert both["kernel"].count == 2 * seen[1]["kernel"].count
    assert both["other"].count == seen[1]["kernel"].count
