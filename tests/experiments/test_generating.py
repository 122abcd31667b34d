"""The driver `generate`: its images, its state, and the stage `distill` that learns from them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from compressjax import recipe
from experiments.stages import build
from experiments.stages.generating import generate, generated_before
from experiments.stages.training import DEFAULTS, joint_objective
from tests.experiments import tiny

pytestmark = pytest.mark.loose
FAST = {"epochs": 0.5, "batch": 64, "chunk": 10}
SMALL = {"examples": 30, "steps": 4, "batch": 8, "latent": 2, "width": 3}


def stages_of(*generators, distill=None):
    return (("train", {"label": "teacher", **FAST}), *generators, ("distill", {"soft": 0.9, **FAST, **(distill or {})}))


def run(problem, stages, folder):
    made = build(problem, {**tiny.get_config().to_dict(), "stages": stages})
    events = recipe.run(made, recipe.Store(str(folder)), "data")
    return {e.stage.name: e.result for e in events if isinstance(e, recipe.Finished)}


@pytest.mark.thorough
def test_the_network_stays_and_distill_learns_from_the_images(problem, tmp_path):
    done = run(problem, stages_of(("generate", {**SMALL, "share": 0.5})), tmp_path)
    images, facts = done["generate"].tree["generated"], done["generate"].facts["generated"]
    assert (images.shape, images.dtype) == ((30, 8, 8, 1), np.uint8)
    assert images.max() <= 16  # the brightest of the digits
    assert (facts["share"], sum(facts["classes"])) == (0.5, 30)
    before, after = (done[name].tree["params"] for name in ("teacher", "generate"))
    jax.tree.map(np.testing.assert_array_equal, before, after)


@pytest.mark.thorough
def test_images_change_what_a_student_learns_and_may_be_all_of_it(problem, tmp_path):
    some, alone, plain = (
        run(problem, stages_of(*made), tmp_path)
        for made in ([("generate", {**SMALL, "share": 0.5})], [("generate", {**SMALL, "share": 1.0})], [])
    )
    kernels = [x["distill"].tree["params"]["Dense_0"]["kernel"] for x in (some, alone, plain)]
    assert np.isfinite(kernels).all()
    assert len({kernel.tobytes() for kernel in kernels}) == 3
    assert [generated_before(x) and generated_before(x)[1] for x in (some, alone, plain)] == [0.5, 1.0, None]


@pytest.mark.parametrize("kind", ["vae", *(pytest.param(k, marks=pytest.mark.thorough) for k in ("gan", "data-free"))])
def test_a_resumed_run_makes_the_same_images(problem, kind):
    stage = generate(problem, "made", kind=kind, **SMALL)
    previous = {"teacher": recipe.Stored({"params": problem.initial_params()}, {"network": NETWORK})}
    context, fresh = stage.start(previous)
    state, losses = stage.advance(context, fresh, 0, 4)
    whole = stage.finish(context, state).tree["generated"]
    _, state = stage.start(previous)
    leaves, structure = jax.tree.flatten(stage.advance(context, state, 0, 1)[0])
    state = jax.tree.unflatten(structure, [jnp.asarray(np.asarray(x)) for x in leaves])  # as from a checkpoint
    state, _ = stage.advance(context, state, 1, 3)
    np.testing.assert_array_equal(stage.finish(context, state).tree["generated"], whole)
    assert np.isfinite(losses["loss"])
    assert len(np.unique(whole)) > 2


NETWORK = {"name": "mlp", "settings": {"widths": (32,)}}


def test_generated_examples_have_soft_targets_alone(draw):
    logits, target = draw.normal(size=(2, 5, 3))
    labels = np.array([0, 2, 1])

    def exact(labels):
        soft = [scipy.special.softmax(x / 4, axis=-1) for x in (target, logits)]
        parts = 0.75 * 16 * scipy.special.rel_entr(*soft).sum(-1)
        parts[: len(labels)] -= 0.25 * scipy.special.log_softmax(logits, axis=-1)[range(len(labels)), labels]
        return parts.mean()

    settings = {**DEFAULTS, "soft": 0.75}
    for known in (labels, labels[:0]):
        got = joint_objective(jnp.asarray(logits), jnp.asarray(known), jnp.asarray(target), settings)
        np.testing.assert_allclose(got, exact(known), rtol=1e-5)


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        (
            stages_of(("generate", {"kind": "van"})),
            "generate: kind='van' is unknown; choose one of vae, gan, data-free",
        ),
        (stages_of(("generate", {"share": 0.0})), "generate: share=0.0 must be a finite number above 0 and at most 1"),
        (stages_of(("generate", {"batch": 2000})), "generate: batch=2000 must be .* at most 1257"),
        (stages_of(("generate", {"step": 3})), "no setting 'step'; the nearest is 'steps'"),
        (stages_of()[:1] + (("generate", {}),), "generate: no later stage `distill` learns from its images"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_trains(problem, stages, said):
    with pytest.raises(ValueError, match=said):
        build(problem, {**tiny.get_config().to_dict(), "stages": stages})


def test_images_that_no_generator_makes_are_refused_before_anything_trains(problem):
    data = problem.data._replace(train_images=np.zeros((9, 6, 6, 1), np.uint8))
    with pytest.raises(ValueError, match="stage made: .*size=6 must be a multiple of 4"):
        generate(problem._replace(data=data, images=jnp.zeros((9, 6, 6, 1))), "made", kind="data-free", batch=2)
