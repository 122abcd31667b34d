"""One network as a file as small as the library makes it: shrunk, pruned and rounded in training, then coded."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import compressjax as cj
from compressjax import core, distill, prune, quant
from experiments import app, limits, models
from experiments.problem import Problem, make_problem, predict
from experiments.reproduce.loop import Data, View, check, data_of, train
from experiments.reproduce.table import Claim
from experiments.reproduce.taught import shifted, soft_loss, with_logits
from experiments.reproduce.through_file import through_file
from experiments.stages.shrink import shrink

KERNELS, BIASES = ".*kernel", ".*bias"
PHASES = ("pruning", "rounding")
_LIMITS = {
    "shift": limits.Limit(whole=True),
    "mixup": limits.FRACTION,
    "keep": limits.Limit(0, 1, above=True),
}


class Shared(NamedTuple):
    """Network and data, and by seed the trained dense networks."""

    problem: Problem
    trained: dict[int, Any]


def settings(config: Mapping[str, Any]) -> list[str]:
    """The dense network and the small file."""
    del config
    return ["dense", "compressed"]


def prepare(launch: app.Launch) -> Shared:
    """Data and network; refuses bad settings of the three training runs."""
    config = launch.config
    problem = make_problem({**config, "seed": 0}, launch.data_cache, launch.mesh)
    examples = len(problem.data.train_labels)
    check(config, examples)
    limits.check(config, _LIMITS, "--config.")
    for phase in PHASES:
        check({**config, **config[phase]}, examples, f"--config.{phase}.")
    return Shared(problem, {})


def run(shared: Shared, config: Mapping[str, Any], name: str, seed: int) -> dict[str, float]:
    """Trains the dense network of a seed once, then makes the small file of it."""
    problem = shared.problem._replace(seed=seed)
    data = data_of(problem)
    if seed not in shared.trained:
        view = shifted(seed, config["shift"])
        start = problem.initial_params()
        shared.trained[seed] = train(problem.apply, start, data, config, seed=seed, view=view).params
    dense = shared.trained[seed]
    if name == "dense":
        return figures(problem, dense, dense)
    network, tree = compressed(problem, config, dense, data)
    return figures(network, dense, tree)


def compressed(problem: Problem, config: Mapping[str, Any], dense: Any, data: Data) -> tuple[Problem, Any]:
    """Removes units, then weights, then digits; the dense network teaches.

    Args:
        problem: network and data, with the seed.
        config: `keep` (share of the units), `pruning` (a training run with `sparsity`, `initial`, `end`, as a share of
            the steps, and `every`), `rounding` (one with `bits` and `bias_bits`), `teacher`, `shift`, `mixup`.
        dense: the trained parameters.
        data: on the device.

    Returns:
        The problem with the network of fewer units, and its parameters as nodes.
    """
    network, params = problem, dense
    if config["keep"] < 1:
        params, facts = shrink(problem, dense, keep=config["keep"])
        network = problem._replace(model=models.create(**facts["network"]))

    def phase(number: int, start: Any, compression: core.Compression) -> Any:
        seed = problem.seed + 1_000_000 * (number + 1)
        view = views(seed, config)
        own, loss = lessons(problem, network, dense, data, config["teacher"], view)
        given = {**config, **config[PHASES[number]]}
        return train(network.apply, start, own, given, seed=seed, compression=compression, loss=loss, view=view).encoded

    pruned = phase(0, params, core.only(KERNELS, gradual(config["pruning"])))
    masks = {path: node.mask for path, node in core.nodes(pruned).items() if hasattr(node, "mask")}
    return network, phase(1, core.materialize(pruned), rounding(masks, config["rounding"]))


def gradual(settings: Mapping[str, Any]) -> core.Compression:
    """Pruning by the magnitude in all layers together, finished after a share of the training run."""
    end = round(settings["end"] * settings["steps"])
    return prune.gradual(
        settings["sparsity"], end=end, every=settings["every"], initial=settings["initial"], distribution="global"
    )


def rounding(masks: Mapping[str, jax.Array], settings: Mapping[str, Any]) -> core.Compression:
    """Grids with one scale a leaf for what the masks keep, and for biases."""
    kernels = core.chain(prune.static(masks=masks), quant.fake_quant(settings["bits"], granularity="tensor"))
    biases = quant.fake_quant(settings["bias_bits"], granularity="tensor")
    return core.chain(core.only(KERNELS, kernels), core.only(BIASES, biases))


def views(seed: int, config: Mapping[str, Any]) -> View | None:
    """Training images as shown in both phases: shifted, and blended with a neighbor in the batch; None for neither."""
    moved, most = shifted(seed, config["shift"]), config["mixup"]
    if not most:
        return moved
    key = jax.random.key(seed + 1)

    def view(step: jax.Array, images: jax.Array) -> jax.Array:
        x = (images if moved is None else moved(step, images)).astype(jnp.float32)
        weight = jax.random.uniform(jax.random.fold_in(key, step), (len(x), 1, 1, 1), maxval=most)
        return (1 - weight) * x + weight * jnp.roll(x, 1, 0)

    return view


def lessons(
    problem: Problem, network: Problem, dense: Any, data: Data, teacher: Mapping[str, float], view: View | None
) -> tuple[Data, Callable[..., jax.Array]]:
    """Data and loss of a student of the dense network, which is asked once, or at every step where images change."""
    if view is None:
        logits = predict(problem.apply, dense, problem.data.train_images)
        return with_logits(data, logits), soft_loss(network.apply, **teacher)

    def loss(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
        targets = jax.lax.stop_gradient(problem.apply(dense, x))
        return distill.soft_target_loss(network.apply(params, x), targets, y, **teacher)

    return data, loss


def figures(problem: Problem, dense: Any, tree: Any) -> dict[str, float]:
    """Test error of the file as it is read, its bytes, how many times smaller it is than float32, and its weights."""
    held, size = through_file(tree)
    logits = predict(cj.lift(problem.apply, on_fallback="ignore"), held, problem.data.test_images)
    kernels = [x for path, x in core.nodes(held).items() if path.endswith("kernel")]
    kept = sum(int(np.count_nonzero(node.materialize() if core.is_node(node) else node)) for node in kernels)
    return {
        "error": 100 * float(np.mean(logits.argmax(-1) != problem.data.test_labels)),
        "times smaller": sum(x.nbytes for x in jax.tree.leaves(dense)) / size,
        "file bytes": float(size),
        "weights": float(kept),
        "bits a weight": 8 * size / max(kept, 1),
    }


def claims(config: Mapping[str, Any]) -> list[Claim]:
    """The targets of the config."""
    return [Claim(*row) for row in config["asked"]]
