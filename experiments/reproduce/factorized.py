"""One network in factorized, hashed and mixed forms: of trained weights, after more training, or from the start."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp

import compressjax as cj
from compressjax import core, lowrank, measure, recipe, search
from experiments import app, models
from experiments.datasets import drawn_rows
from experiments.problem import Problem, cross_entropy
from experiments.reproduce import quantized
from experiments.reproduce.loop import Data, check, train
from experiments.reproduce.table import Claim

TRAINED = ", trained"  # ends the names of settings whose values train on
CHOSEN = "chosen ranks"  # in the place of a method: ranks by what each loses, in the bytes of one rank for all


def settings(config: Mapping[str, Any]) -> list[str]:
    """`dense` and every form of it, without and with a training run; then what trains from the start."""
    names = ["dense", *(name for name, _ in config["methods"])]
    return [*(name + end for name in names for end in ("", TRAINED)), *(name for name, _ in config["fresh"])]


def prepare(launch: app.Launch) -> quantized.Shared:
    """Data and network; refuses bad settings and methods."""
    shared = quantized.load(launch)
    examples = len(shared.problem.data.train_labels)
    check({**launch.config, **launch.config["starting"]}, examples, "--config.starting.")
    for name, found in (*launch.config["methods"], *launch.config["fresh"]):
        if isinstance(found, Mapping):
            _smaller(shared.problem, launch.config, found)
        elif found[0] != CHOSEN:
            rules(found, name)
    return shared


def rules(found: Any, name: str) -> dict[core.Selector, core.Compression]:
    """The rules of a form: pairs of a selector and a method in the config."""
    return {selector: recipe.make(spec, where=f"--config: {name}") for selector, spec in found}


def run(shared: quantized.Shared, config: Mapping[str, Any], name: str, seed: int) -> dict[str, float]:
    """Trains the dense network of a seed once, then changes its form, and trains what that stores."""
    problem, data, params = quantized.dense(shared, config, seed)
    if name in dict(config["fresh"]):
        return fresh(problem, config, dict(config["fresh"])[name], data, name)
    form = name.removesuffix(TRAINED)
    tree = params if form == "dense" else _form(problem, config, params, data, form)
    if name.endswith(TRAINED):
        tree = trained(problem, {**config, **config["tuning"]}, tree, data, seed + 1_000_000)
    return figures(problem, params, tree)


def _form(problem: Problem, config: Mapping[str, Any], params: Any, data: Data, name: str) -> Any:
    """The weights in a form of the config."""
    found = dict(config["methods"])[name]
    if found[0] == CHOSEN:
        return _chosen(problem, config, params, data, *found[1:])
    chosen = rules(found, name)
    reads = any(c.needs for c in chosen.values())
    stats = quantized.observed(problem, config, params, data, problem.seed) if reads else None
    return cj.compress(params, chosen, stats, layout=cj.layouts(problem.apply)(params, data.train[:2]))


def _chosen(
    problem: Problem,
    config: Mapping[str, Any],
    params: Any,
    data: Data,
    selector: str,
    uniform: int,
    ranks: Sequence[int],
) -> Any:
    """Factors of those ranks that lose the least, each measured alone, in the bytes of a uniform rank."""
    rows = drawn_rows(problem.seed, config["calibration"], len(data.train_labels))
    batch = data.train[rows], data.train_labels[rows]
    methods = {str(rank): {selector: lowrank.svd(rank=rank)} for rank in {uniform, *ranks}}
    found = measure.leaf_losses(cross_entropy(cj.lift(problem.apply)), params, [batch], methods)
    most = sum(found.bits[str(uniform)].values())
    choice = search.choose(found.increases(), {"bits": found.costs()}, {"bits": most})
    return cj.compress(params, {path: lowrank.svd(rank=int(rank)) for path, rank in choice.options.items()})


def trained(problem: Problem, config: Mapping[str, Any], tree: Any, data: Data, seed: int) -> Any:
    """The tree after a training run of the values that it stores."""
    lifted = cj.lift(problem.apply, on_fallback="ignore")
    done = train(lambda flat, x: lifted(core.with_values(tree, flat), x), core.values(tree), data, config, seed=seed)
    return core.with_values(tree, done.params)


def fresh(problem: Problem, config: Mapping[str, Any], found: Any, data: Data, name: str) -> dict[str, float]:
    """A smaller network, or a form of the first weights of the dense one, trained from the start."""
    if isinstance(found, Mapping):
        problem = _smaller(problem, config, found)
        params = tree = problem.initial_params()
    else:
        params = problem.initial_params()
        tree = as_spread(params, cj.compress(params, rules(found, name)))
    return figures(problem, params, trained(problem, {**config, **config["starting"]}, tree, data, problem.seed))


def _smaller(problem: Problem, config: Mapping[str, Any], changed: Mapping[str, Any]) -> Problem:
    """The problem with a network of other settings."""
    model = config["model"]
    return problem._replace(model=models.create(model["name"], {**model["settings"], **changed}))


def as_spread(params: Any, tree: Any) -> Any:
    """Nodes of random weights with the deviation of these weights, which means and cut ranks make smaller.

    The first value of a node is multiplied, so the dense weights must be linear in it.
    """
    weights, nodes, flat = core.nodes(params), core.nodes(tree), dict(core.values(tree))
    for path, node in nodes.items():
        if core.is_node(node):
            first = next(p for p in flat if p.startswith(f"{path}/"))
            flat[first] = flat[first] * (jnp.std(weights[path]) / jnp.std(node.materialize()))
    return core.with_values(tree, flat)


def figures(problem: Problem, params: Any, tree: Any) -> dict[str, float]:
    """Figures as of grids, and the numbers that train."""
    found = quantized.figures(problem, params, tree)
    return found | {"values": float(sum(x.size for x in core.values(tree).values()))}


def claims(config: Mapping[str, Any]) -> list[Claim]:
    """The targets of the config."""
    return [Claim(*row) for row in config["asked"]]
