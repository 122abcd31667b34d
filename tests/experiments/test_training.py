"""Training stages: a loop and a scan agree, and soft targets come from the teacher."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import core, distill, recipe
from compressjax.interpret import observe
from experiments.app import make_mesh
from experiments.problem import make_problem
from experiments.stages import build
from experiments.stages.training import DEFAULTS, count_steps, make_optimizer, mix, objective
from tests.experiments import tiny

pytestmark = pytest.mark.loose

SETTINGS = {**DEFAULTS, "epochs": 1.0, "batch": 64, "chunk": 10, "save_every": 20}


def params_of(problem, tmp_path, **changes):
    stages = (("train", {"label": "teacher", **SETTINGS, **changes}),)
    config = {**tiny.get_config().to_dict(), "stages": stages}
    *_, last = recipe.run(build(problem, config), recipe.Store(str(tmp_path)), "data")
    return core.values(last.result.tree["params"])


def test_steps_are_rounded_up_to_chunks():
    assert count_steps({"epochs": 2.0, "batch": 64, "chunk": 10}, 1257) == 40


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"epochs": 0.0}, "epochs=0.0 must be a finite number above 0"),
        ({"epochs": -1}, "epochs=-1 must be"),
        ({"epochs": 1e-9}, "epochs=1e-09 of 19 batches are not one step"),
        ({"epochs": float("inf")}, "epochs=inf must be a finite"),
        ({"batch": 0}, "batch=0 must be a whole number of at least 1 and at most 1257"),
        ({"batch": 1_000_000}, "batch=1000000 must be a whole number of at least 1 and at most 1257"),
        ({"batch": 64.0}, r"batch=64\.0 must be a whole number"),
        ({"batch": True}, "batch=True must be a whole number"),
        ({"chunk": 0}, "chunk=0 must be"),
        ({"save_every": 0}, "save_every=0 must be"),
        ({"learning_rate": -0.1}, "learning_rate=-0.1 must be a finite number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate=nan must be"),
        ({"temperature": 0.0}, "temperature=0.0 must be"),
        ({"mixup": 1.5}, "mixup=1.5 must be .* at most 1"),
        ({"weight_decay": -1.0}, "weight_decay=-1.0 must be"),
    ],
)
def test_settings_that_give_no_training_are_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        count_steps({**SETTINGS, **changes}, 1257)


def test_rates_inside_an_optimizer_are_checked():
    with pytest.raises(ValueError, match=r"optimizer\.learning_rate=-1\.0 must be"):
        make_optimizer({**SETTINGS, "optimizer": ("optax:sgd", {"learning_rate": -1.0})}, 10)
    make_optimizer({**SETTINGS, "optimizer": ("optax:sgd", {"momentum": 0.9})}, 10)


def test_a_batch_divides_over_the_devices(problem):
    stages = (("train", {"label": "teacher", **SETTINGS, "batch": 50}),)
    with pytest.raises(ValueError, match="stage teacher: batch=50 does not divide over the 4 devices .*batch=52"):
        build(problem._replace(mesh=make_mesh(4)), {**tiny.get_config().to_dict(), "stages": stages})


def test_a_state_of_four_devices_goes_on_on_two(problem, data_cache, tmp_path):
    """Saved by `jit` on 2 x 2 devices, finished by `shard_map` on two: the losses are those of one device."""
    stages = (("train", {"label": "teacher", **SETTINGS}),)
    config = {**tiny.get_config().to_dict(), "stages": stages}
    alone = params_of(problem, tmp_path / "one")
    store, steps = recipe.Store(str(tmp_path / "two")), []
    places = (make_mesh(4, "data:2,model:2"), "jit"), (make_mesh(2), "shard_map")
    four, two = (build(make_problem(config, data_cache, *place), config) for place in places)
    for event in recipe.run(four, store, "data", stop=steps.__len__):
        steps.extend([event.step] if isinstance(event, recipe.Advanced) else [])
    events = list(recipe.run(two, store, "data"))
    assert events[0].step == steps[-1] > 0
    for path, x in core.values(events[-1].result.tree["params"]).items():
        np.testing.assert_allclose(x, alone[path], atol=1e-5)


def test_scan_and_loop_agree(problem, tmp_path):
    scanned = params_of(problem, tmp_path / "a", scan=True)
    looped = params_of(problem, tmp_path / "b", scan=False)
    for path, x in scanned.items():
        np.testing.assert_allclose(x, looped[path], atol=1e-5)


@pytest.mark.thorough
def test_training_is_a_plain_optax_loop(problem, tmp_path):
    """The whole pipeline against eight lines of JAX."""
    from experiments.datasets import batch_indices

    params = problem.initial_params()
    steps = count_steps(SETTINGS, 1257)
    tx = make_optimizer(SETTINGS, steps)
    state = tx.init(params)
    for rows in batch_indices(problem.seed, "teacher", 0, steps, 64, 1257):
        x, y = problem.images[rows], problem.labels[rows]

        def loss(params, x=x, y=y):
            return optax.softmax_cross_entropy_with_integer_labels(problem.apply(params, x), y).mean()

        updates, state = tx.update(jax.grad(loss)(params), state, params)
        params = optax.apply_updates(params, updates)
    ours = params_of(problem, tmp_path)
    for path, x in core.values(params).items():
        np.testing.assert_allclose(ours[path], x, atol=1e-4)


@pytest.mark.thorough
def test_rounded_inputs_run_in_training_and_their_steps_learn(problem, tmp_path):
    """The first statistics set the steps; training moves them by `slopes`, and the file holds what was trained."""
    rounded = {"bits": 4, "method": "lsq", "optimizer": ("optax:sgd", {"learning_rate": 0.1})}
    of = (("quant.activations", rounded), ("quant.lsq", {"bits": 4}))
    settings = {"of": of, "train": SETTINGS, "stats": {"examples": 64}, "label": "w4a4"}
    stages = (("train", {"label": "teacher", **SETTINGS}), ("chain", settings))
    config = {**tiny.get_config().to_dict(), "stages": stages}
    events = recipe.run(build(problem, config), recipe.Store(str(tmp_path)), "data")
    first, last = (event for event in events if getattr(event, "result", None))
    node = last.result.tree["params"]["Dense_0"]["kernel"]
    _, stats = observe(problem.apply)(first.result.tree["params"], problem.images[:64])
    seen = stats["Dense_0/kernel"]
    begin = 2 / np.sqrt(7) * np.sqrt(2 / np.pi * np.mean(seen.squares / seen.count))
    assert node.inner.bits == 4
    assert abs(float(node.step) / begin - 1) > 1e-3


def test_another_seed_gives_another_network(problem, tmp_path):
    one = params_of(problem, tmp_path / "a")
    two = params_of(problem._replace(seed=1), tmp_path / "b")
    assert not np.array_equal(one["Dense_0/kernel"], two["Dense_0/kernel"])


def test_objective_without_a_teacher_is_cross_entropy():
    logits, labels = jnp.array([[2.0, 0.0], [0.0, 1.0]]), jnp.array([0, 0])
    expected = np.mean([np.log(1 + np.exp(-2)), np.log(1 + np.exp(1))])
    settings = {"temperature": 4.0, "soft": 0.5, "distillation": None}
    assert objective(logits, labels, None, settings) == pytest.approx(expected, rel=1e-6)
    assert objective(logits, labels, -logits, {**settings, "soft": 0.0}) == pytest.approx(expected, rel=1e-6)
    assert objective(logits, labels, logits, {**settings, "soft": 1.0}) == pytest.approx(0, abs=1e-6)


def test_another_loss_takes_the_place_of_soft_targets():
    logits, labels = jnp.array([[2.0, 0.0, 1.0], [0.0, 1.0, -1.0]]), jnp.array([0, 0])
    target = logits[::-1]
    settings = {"temperature": 4.0, "soft": 0.25, "distillation": ("distill.dkd_loss", {"beta": 2.0})}
    hard = objective(logits, labels, None, settings)
    expected = 0.25 * distill.dkd_loss(logits, target, labels, beta=2.0) + 0.75 * hard
    assert objective(logits, labels, target, settings) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        ("distill.dkd_los", "distillation: .*dkd_loss"),
        (("distill.dkd_loss", {"bta": 1.0}), "distillation: distill.dkd_loss.*beta"),
        (("distill.dist_loss", {"temperature": -1.0}), "temperature=-1.0"),
    ],
)
def test_a_bad_loss_is_refused_before_training(problem, loss, said):
    stages = (("train", {"label": "teacher", **SETTINGS}), ("distill", {"soft": 0.5, "distillation": loss}))
    with pytest.raises(ValueError, match=said):
        build(problem, {**tiny.get_config().to_dict(), "stages": stages})


def test_a_loss_that_is_no_number_names_the_remedy(problem, tmp_path):
    said = r"stage teacher: the loss became nan at step \d+; the first .* is Dense_\d/\w+; lower its learning_rate"
    with pytest.raises(recipe.DivergedError, match=said + ".*no earlier state"):
        params_of(problem, tmp_path, learning_rate=1e30)


def test_mix_blends_neighbors_and_their_labels():
    images = jnp.arange(3, dtype=jnp.uint8).reshape(3, 1, 1, 1) * 100
    x, y = mix(jax.random.key(0), images, jnp.eye(3), 0.5)
    for i in range(3):
        weight = float(y[i, i - 1])
        assert 0 <= weight <= 0.5
        assert float(y[i, i]) == pytest.approx(1 - weight)
        assert float(x[i, 0, 0, 0]) == pytest.approx((1 - weight) * 100 * i + weight * 100 * ((i - 1) % 3), rel=1e-5)


def test_mixed_stages_train_and_repeat(problem, tmp_path):
    one = params_of(problem, tmp_path / "a", mixup=0.5)
    two = params_of(problem, tmp_path / "b", mixup=0.5)
    plain = params_of(problem, tmp_path / "c")
    assert np.array_equal(one["Dense_0/kernel"], two["Dense_0/kernel"])
    assert not np.array_equal(one["Dense_0/kernel"], plain["Dense_0/kernel"])
