"""Names become calls; wrong names are refused with the nearest right one."""

import jax
import pytest

from compressjax import core, prune, recipe
from tests import toys

KEY = {"key": lambda word: jax.random.key(len(word))}


def test_a_name_is_the_call():
    made = recipe.make(("prune.gradual", {"sparsity": 0.9, "end": 0.5, "begin": 3}), steps=200)
    assert made.name == prune.gradual(0.9, begin=3, end=100).name
    assert recipe.make("prune.nonzero").name == "nonzero"


def test_arguments_that_are_made_by_a_function():
    schedule = ("prune.schedules.cubic", {"sparsity": 0.9, "end": 0.5})
    settings = {"sparsity": schedule, "pattern": ("prune.patterns.block", {"rows": 2, "columns": 2})}
    assert recipe.make(("prune.gradual", settings), steps=40).name == "gradual(sparsity=0.9, end=20)"
    made = recipe.make(("prune.soft_threshold", {"optimizer": ("optax:adam", {"learning_rate": 0.1})}))
    assert isinstance(made, core.Compression)


def test_what_json_cannot_say_comes_from_makers():
    """A key is made of the config's word, or of the label; sparsity reaches the saliency and the method alike."""
    params = {"kernel": jax.numpy.ones((6, 4))}
    for word, label, said in (("abc", "x", {"key": "abc"}), ("abc", "abc", {})):
        spec = ("prune.static", {"sparsity": 0.5, "distribution": "uniform", **said})
        masks = recipe.make(spec, given=KEY, label=label).init(params).masks
        theirs = prune.static(0.5, jax.random.key(len(word)), distribution="uniform").init(params).masks
        assert (masks["kernel"] == theirs["kernel"]).all()
    given = {"sparsity": lambda: 0.25, "loss": lambda power=1: power, "batches": lambda: ()}
    made = recipe.make(("prune.one_shot", {"saliency": ("saliency.snip", {"loss": {"power": 3}})}), given=given)
    assert "0.25" in made.name


def test_rounding_is_by_chance_only_where_a_key_is_named():
    """Half of a step goes to the even neighbor at nearest, to either by chance; nf4 knows no chance."""
    params = {"kernel": jax.numpy.concatenate([jax.numpy.full((1, 64), 0.5), jax.numpy.full((1, 64), 127.0)])}
    grid = {"granularity": "tensor"}

    def codes(settings):
        method = recipe.make(("quant.rtn", settings), given=KEY, label="x")
        return set(core.dense(method.encode(params, method.init(params))["kernel"])[0].tolist())

    assert codes(grid) == {0.0}
    assert codes({**grid, "key": "x"}) == {0.0, 1.0}
    assert len(codes({"bits": "nf4", "granularity": "tensor"})) == 1


def test_a_function_outside_of_the_package():
    assert recipe.make(("tests.toys:mask", {"fraction": 0.25})).name == toys.mask().name


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (
            "prune.magnitud",
            r"method: prune.magnitud is not a public function of compressjax; the nearest is 'prune.magnitude'",
        ),
        ("gradual", "the nearest is 'prune.gradual'"),
        ("prune.Condition", "is not a public function"),
        (
            ("prune.gradual", {"sparsty": 0.5}),
            "prune.gradual has no setting 'sparsty'; the nearest is 'sparsity'; there are",
        ),
        (("prune.gradual", {}), "prune.gradual needs the settings sparsity"),
        (("prune.gradual", {"sparsity": 1.5, "end": 3}), r"prune.gradual: sparsity=1.5 is outside \[0, 1\)"),
        (("prune.gradual", {"sparsity": 0.5, "end": 0.5}), "end=0.5 is not a fraction of a training run"),
        (
            ("prune.gradual", {"sparsity": ("prune.schedules.cubc", {})}),
            r"sparsity: .*nearest is 'prune.schedules.cubic'",
        ),
        (("prune.static", {"sparsity": 0.5, "key": {"seed": 3}}), "prune.static.key has no setting 'seed'"),
        (("tests.toys:msk", {}), "tests.toys has no function 'msk'; the nearest is 'mask'"),
        (("no_such_lab:toy", {}), "'no_such_lab' cannot be imported"),
        (("prune.nonzero", 3), "must be a name or a pair"),
    ],
)
def test_what_is_wrong_is_named(spec, said):
    with pytest.raises(ValueError, match=said):
        recipe.make(spec, given=KEY)
