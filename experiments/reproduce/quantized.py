"""One trained network on many grids, without training and with a short training run after it, taught or not."""

import os
import tempfile
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

import compressjax as cj
from compressjax import artifact, core, quant, recipe
from experiments import app, limits
from experiments.datasets import drawn_rows
from experiments.problem import Problem, make_problem, predict
from experiments.reproduce.loop import Data, check, data_of, frozen, train, train_statistics
from experiments.reproduce.table import Claim
from experiments.reproduce.taught import soft_loss, with_logits

KERNELS = ".*kernel"
RENEWED = ", renewed"  # ends the names of settings without training whose norms are measured anew
TAUGHT = ", taught"  # ends the names of settings whose training has the dense network as its teacher
_EVALUATION = 2000


class Shared(NamedTuple):
    """Network and data, and by seed the trained dense networks."""

    problem: Problem
    trained: dict[int, Any]


def settings(config: Mapping[str, Any]) -> list[str]:
    """`dense`, the methods without training, those with a training run, and these with a teacher."""
    trained = [name for name, _ in config["trained"]]
    taught = [name + TAUGHT for name in trained] if config.get("teacher") else []
    renewed = [name + RENEWED for name in config.get("renewed", ())]
    return ["dense", *(name for name, _ in config["methods"]), *renewed, *trained, *taught]


def prepare(launch: app.Launch) -> Shared:
    """Data and network; refuses bad settings and methods."""
    shared = load(launch)
    for name in settings(launch.config)[1:]:
        methods(launch.config, name)
    return shared


def load(launch: app.Launch) -> Shared:
    """Data and network; refuses bad settings of both training runs and of the calibration."""
    config = launch.config
    problem = make_problem({**config, "seed": 0}, launch.data_cache, launch.mesh)
    examples = len(problem.data.train_labels)
    check(config, examples)
    check({**config, **config["tuning"]}, examples, "--config.tuning.")
    limits.check(config, {"calibration": limits.Limit(1, examples, whole=True)}, "--config.")
    return Shared(problem, {})


def dense(shared: Shared, config: Mapping[str, Any], seed: int) -> tuple[Problem, Data, Any]:
    """Network, data, and the dense parameters of a seed, which are trained once."""
    problem = shared.problem._replace(seed=seed)
    data = data_of(problem)
    if seed not in shared.trained:
        initial = problem.initial_params()
        shared.trained[seed] = (
            train_statistics(problem, config)
            if "batch_stats" in initial
            else train(problem.apply, initial, data, config, seed=seed).params
        )
    return problem, data, shared.trained[seed]


def observed(
    problem: Problem, config: Mapping[str, Any], params: Any, data: Data, seed: int, select: str | None = None
) -> Any:
    """Statistics of `observe` over training images that the seed draws."""
    rows = drawn_rows(seed, config["calibration"], len(data.train_labels))
    return jax.jit(cj.observe(problem.apply, select=select))(params, data.train[rows])[1]


def methods(config: Mapping[str, Any], name: str) -> dict[str, core.Compression]:
    """The methods of a cell by the pattern of their leaves, `KERNELS` unless the config has patterns."""
    found = dict((*config["methods"], *config["trained"]))[name.removesuffix(TAUGHT).removesuffix(RENEWED)]
    by_pattern = not isinstance(found[0], str) and not isinstance(found[0][1], Mapping)
    return {pattern: _method(row, name) for pattern, row in (found if by_pattern else ((KERNELS, found),))}


def _method(found: Any, name: str) -> core.Compression:
    """One method, or a chain of several."""
    parts = [found] if isinstance(found[0], str) else found
    made = [recipe.make(part, where=f"--config: {name}") for part in parts]
    return made[0] if len(made) == 1 else core.chain(*made)


def run(shared: Shared, config: Mapping[str, Any], name: str, seed: int) -> dict[str, float]:
    """Trains the dense network of a seed once, then quantizes it."""
    problem, data, params = dense(shared, config, seed)
    if name == "dense":
        return figures(problem, params, params)
    compression = core.partition(methods(config, name))
    stats = observed(problem, config, params, data, seed, KERNELS) if compression.needs else None
    if name.removesuffix(TAUGHT) in dict(config["trained"]):
        loss, apply = None, frozen(problem.apply)
        if name.endswith(TAUGHT):
            data = with_logits(data, predict(problem.apply, params, problem.data.train_images))
            loss = soft_loss(cj.lift(apply, on_fallback="ignore"), **config["teacher"])
        tuning = {**config, **config["tuning"]}
        done = train(apply, params, data, tuning, seed=seed + 1_000_000, compression=compression, loss=loss,
                     stats=stats)  # fmt: skip
        return figures(problem, params, done.encoded)
    layout = cj.layouts(problem.apply)(params, data.train[:2])
    tree = cj.compress(params, methods(config, name), stats, layout=layout)
    if name.endswith(RENEWED):
        tree = {**tree, "batch_stats": renewed(problem, config, tree, seed)}
    return figures(problem, params, tree)


def renewed(problem: Problem, config: Mapping[str, Any], tree: Any, seed: int) -> Any:
    """Statistics of the norms on the images of the calibration, in batches of 256 or of all."""
    rows = drawn_rows(seed, config["calibration"], len(problem.data.train_labels))
    parts = np.split(rows, range(256, len(rows), 256))
    batches = [problem.images[part] for part in parts if len(part) == len(parts[0])]

    def train(rest: Any, stats: Any, images: jax.Array) -> Any:
        return problem.train_apply({**rest, "batch_stats": stats}, images)[1]["batch_stats"]

    rest = {name: part for name, part in tree.items() if name != "batch_stats"}
    lifted = cj.lift(train, on_fallback="ignore")
    return quant.renew_batch_norm(lifted, rest, tree["batch_stats"], batches, momentum=0.9)


def figures(problem: Problem, params: Any, tree: Any) -> dict[str, float]:
    """Test error in percent of the tree as `lift` runs it, bits a weight of its kernels, and bytes of its file."""
    apply = jax.jit(cj.lift(problem.apply, on_fallback="ignore"))
    images, labels = problem.data.test_images, problem.data.test_labels
    guesses = [np.argmax(apply(tree, images[i : i + _EVALUATION]), -1) for i in range(0, len(labels), _EVALUATION)]
    kernels = {path: x for path, x in core.nodes(params).items() if path.endswith("kernel")}
    held = core.nodes(tree)
    with tempfile.TemporaryDirectory() as folder:
        size = artifact.save(os.path.join(folder, "model.cjx"), tree).ledger.file_bytes
    return {
        "error": 100 * float(np.mean(np.concatenate(guesses) != labels)),
        "bits a weight": sum(core.entry_bits(held[p]) for p in kernels) / sum(x.size for x in kernels.values()),
        "file kB": size / 1e3,
    }


def claims(config: Mapping[str, Any]) -> list[Claim]:
    """The targets of the config."""
    return [Claim(*row) for row in config["asked"]]
