"""A list of stages is checked before training, and any loop can run it."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import artifact, core, recipe
from compressjax.tensors import Masked, Quantized

F32 = jnp.float32
PARAMS = {
    "d0": {"kernel": jax.ShapeDtypeStruct((64, 32), F32), "bias": jax.ShapeDtypeStruct((32,), F32)},
    "d1": {"kernel": jax.ShapeDtypeStruct((32, 10), F32), "bias": jax.ShapeDtypeStruct((10,), F32)},
}
TRAIN = ("train", {})
GRADUAL = ("prune.gradual", {"sparsity": 0.9, "end": 0.5, "train": {"epochs": 2.0}})
RTN = ("quant.rtn", {"bits": 4})
FACTORIZE = ("factorize", {"select": ".*kernel"})
BIASES = ("encode", {"rules": ((".*bias", ("quant.rtn", {"granularity": "tensor"})),)})


def factorize(tree, *, select, budget=0.1):
    return tree, select, budget


def shrink(tree, *, keep=0.5):
    return tree, keep


def plan(*stages):
    return recipe.plan(
        stages,
        PARAMS,
        train={"epochs": 1.0, "rate": 1e-3},
        steps=lambda train: round(10 * train["epochs"]),
        drivers={"factorize": factorize, "shrink": shrink},
        given={"key": lambda word: jax.random.key(len(word))},
    )


def test_stages_know_what_they_depend_on():
    train, prune, low, grid, last = plan(TRAIN, GRADUAL, FACTORIZE, RTN, BIASES)
    assert [s.label for s in (train, prune, low, grid, last)] == ["train", "gradual", "factorize", "rtn", "encode"]
    assert train.settings == {"train": {"epochs": 1.0, "rate": 1e-3}}
    assert prune.train == prune.settings["train"] == {"epochs": 2.0, "rate": 1e-3}
    assert prune.parts[0].compression.name == "gradual(sparsity=0.9, end=10)"
    assert low.settings == {"select": ".*kernel", "budget": 0.1}
    assert grid.train is None
    recipe.canonical([s.settings for s in (train, prune, low, grid, last)])


@pytest.mark.parametrize(
    "stages",
    [
        [TRAIN, RTN, ("share.kmeans", {"clusters": 4, "open": ".*kernel"})],
        [TRAIN, ("chain", [("prune.magnitude", {"sparsity": 0.5}), ("share.kmeans", {})])],
        [TRAIN, ("sequence", {"of": [("lowrank.svd", {"rank": 2}), ("quant.fake_quant", {"bits": 4})], "train": {}})],
        [TRAIN, ("lowrank.svd", {"energy": 0.9}), ("share.kmeans", {"select": ".*/left"})],
        [TRAIN, FACTORIZE, ("quant.rtn", {"select": ".*/left"})],
        [TRAIN, ("shrink", {}), ("prune.wanda", {"sparsity": 0.5, "stats": {"examples": 8}})],
        [TRAIN, ("quant.rtn", {"rules": [("d0/kernel", {"bits": 2}), ("d./kernel", ("share.kmeans", {}))]})],
        [TRAIN, ("tests.toys:mask", {"fraction": 0.5, "train": {}})],
    ],
    ids=lambda stages: stages[-1][0],
)
def test_what_is_right_passes(stages):
    assert len(plan(*stages)) == len(stages)


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ([("trian", {})], r"stages\[0\] \(trian\): 'trian' is neither .* nearest is 'train'"),
        ([TRAIN, ("gradual", {})], r"stages\[1\] \(gradual\): .* nearest is 'prune.gradual'"),
        ([("train", {"epoch": 3})], "train has no setting 'epoch'; the nearest is 'epochs'"),
        ([("train", {"epochs": "3"})], "train.epochs='3' must be a number"),
        ([TRAIN, ("prune.gradual", {**GRADUAL[1], "train": {"rat": 1}})], "nearest is 'rate'"),
        ([TRAIN, ("shrink", {"kep": 0.5})], r"\(shrink\): shrink has no setting 'kep'; the nearest is 'keep'"),
        ([TRAIN, ("factorize", {})], "factorize needs the settings select"),
        ([TRAIN, ("saliency.lamp", {})], "lamp returns a Saliency, not a compression"),
        ([TRAIN, ("prune.wanda", {"sparsity": 0.5})], r"reads the statistics \['squares'\]; add `stats`"),
        (
            [TRAIN, ("quant.rtn", {"select": "d9/.*"})],
            r"stages\[1\] \(rtn\): rtn.* 'd9/.\*' selects nothing.*d0/kernel",
        ),
        ([TRAIN, ("quant.rtn", {"select": "["})], "no.* a regular expression"),
        ([TRAIN, ("chain", [RTN])], "chain takes a list of two or more methods"),
        ([TRAIN, ("chain", [("lowrank.svd", {"rank": 2}), ("prune.magnitude", {"sparsity": 0.5})])], "use sequence"),
        ([TRAIN, BIASES, ("distill", {})], "nothing can follow encode"),
        ([("encode", {"select": "x"})], "encode takes only `rules`"),
        ([("encode", {"rules": None})], "rules=None must be pairs of a selector and a method"),
        ([("encode", {"rules": ("d0", "d1")})], "rules=\\('d0', 'd1'\\) must be pairs"),
        ([("distill", {})], "has no teacher"),
        ([TRAIN, TRAIN], r"stages\[1\] \(train\) has the label of stages\[0\]"),
        ([TRAIN, RTN, GRADUAL], r"stages\[2\] \(gradual\) cannot follow stages\[1\] \(rtn\).*selects nothing"),
        ([TRAIN, RTN, ("shrink", {})], r"needs dense kernels; put it before stages\[1\] \(rtn\)"),
        ([TRAIN, FACTORIZE, ("quant.rtn", {"select": "d9"})], "pattern 'd9' matches none"),
        ([TRAIN, ("quant.rtn", {"select": ".*", "granularity": "tensor"}), ("distill", {})], "no values to act on"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_trains(stages, said):
    with pytest.raises(ValueError, match=said):
        plan(*stages)


def test_a_model_data_and_loop_of_ones_own(tmp_path):
    """A training loop from the first step to a file, with a method from outside the package in the list."""

    def model(params, x):
        return jnp.tanh(x @ params["w1"]) @ params["w2"]

    x = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)
    y = x[:, :1] * x[:, 1:2]
    tree = {"w1": jnp.asarray(x[:8] / 3), "w2": jnp.ones((8, 1)) / 3}
    stages = [
        ("train", {"steps": 60}),
        ("prune.gradual", {"select": "w1", "sparsity": 0.5, "end": 0.6, "every": 5, "train": {"steps": 20}}),
        ("tests.toys:mask", {"label": "toy", "select": "w2", "fraction": 0.5, "train": {}}),
        ("quant.rtn", {"bits": 6, "select": "w1"}),
    ]
    losses = []
    for stage in recipe.plan(stages, tree, train={"steps": 10, "rate": 1e-2}):
        work = stage.start(tree)
        if stage.train is None:
            tree = work.apply()
            continue
        tx = core.as_optax(work.compression, optax.adam(stage.train["rate"]))
        trained, state = work.params, tx.init(work.params)

        @jax.jit
        def step(trained, state, work=work, tx=tx):
            def loss(p):
                return jnp.mean((model(work.view(p, state.compression), x) - y) ** 2)

            value, grads = jax.value_and_grad(loss)(trained)
            updates, state = tx.update(grads, state, trained)
            return optax.apply_updates(trained, updates), state, value

        for _ in range(stage.train["steps"]):
            trained, state, value = step(trained, state)
            losses.append(float(value))
        tree = work.encode(trained, state.compression)
    artifact.save(tmp_path / "model.cjx", tree)
    back = artifact.load(tmp_path / "model.cjx").tree
    assert losses[59] < 0.7 * losses[0]
    assert isinstance(back["w1"], Masked)
    assert isinstance(back["w1"].value, Quantized)
    assert (int(np.sum(back["w1"].mask)), int(np.sum(back["w2"].mask))) == (32, 4)
    np.testing.assert_array_equal(core.dense(back["w1"]), core.dense(tree["w1"]))
