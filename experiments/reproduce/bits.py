"""Bits for every leaf of a trained network, chosen under a budget, against the same bits everywhere."""

import statistics
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax

import compressjax as cj
from compressjax import core, measure, recipe, search
from experiments import app, limits
from experiments.datasets import drawn_rows
from experiments.plots import as_png, new_figure
from experiments.problem import Problem, cross_entropy, make_problem
from experiments.reproduce.loop import check, data_of, train
from experiments.reproduce.quantized import KERNELS, figures
from experiments.reproduce.table import Claim, Results

RULES = ("measured", "Hessian")


class Ready(NamedTuple):
    """A trained network with the losses of every leaf and option.

    Attributes:
        params: The network.
        tables: `{rule: {leaf: {option: loss}}}`.
        costs: `{leaf: {option: bits}}`.
        stats: Statistics of the calibration batch.
        layout: Axes of the leaves.
    """

    params: Any
    tables: dict[str, Any]
    costs: dict[str, dict[str, float]]
    stats: Any
    layout: Any


class Shared(NamedTuple):
    """Network and data, and by seed what all choices share."""

    problem: Problem
    ready: dict[int, Ready]


def settings(config: Mapping[str, Any]) -> list[str]:
    """`dense`, one option everywhere, and what each rule chooses under each budget."""
    chosen = [f"{rule}, {bits:g} bits" for bits in config["budgets"] for rule in RULES]
    return ["dense", *(f"{name} everywhere" for name, _ in config["options"]), *chosen]


def prepare(launch: app.Launch) -> Shared:
    """Data and network; refuses bad settings."""
    config = launch.config
    problem = make_problem({**config, "seed": 0}, launch.data_cache, launch.mesh)
    examples = len(problem.data.train_labels)
    check(config, examples)
    count = {name: limits.Limit(1, examples, whole=True) for name in ("calibration", "probes")}
    limits.check(config, count, "--config.")
    for _, method in config["options"]:
        recipe.make(method, where="--config.options")
    return Shared(problem, {})


def run(shared: Shared, config: Mapping[str, Any], name: str, seed: int) -> dict[str, float]:
    """Trains the network of a seed once, then gives its leaves the options of one setting."""
    problem = shared.problem._replace(seed=seed)
    if seed not in shared.ready:
        shared.ready[seed] = _ready(problem, config, seed)
    ready = shared.ready[seed]
    if name == "dense":
        return figures(problem, ready.params, ready.params)
    option, _, everywhere = name.rpartition(" everywhere")
    choice = dict.fromkeys(ready.costs, option)
    if option == "":
        rule, _, wanted = everywhere.partition(", ")
        weights = sum(x.size for path, x in core.nodes(ready.params).items() if path in ready.costs)
        limit = {"bits": float(wanted.split()[0]) * weights}
        choice = search.choose(ready.tables[rule], {"bits": ready.costs}, limit).options
    made = {key: recipe.make(method, where="--config.options") for key, method in config["options"]}
    rules = {path: made[key] for path, key in choice.items()}
    tree = cj.compress(ready.params, rules, ready.stats, layout=ready.layout)
    return figures(problem, ready.params, tree)


def claims(config: Mapping[str, Any]) -> list[Claim]:
    """Choices against the same bits everywhere: fewer errors in the same space."""
    return [Claim(*row) for row in config["asked"]]


def pictures(results: Results) -> dict[str, bytes]:
    """The front: test error against bits a weight, for one option everywhere and for each rule."""
    figure = new_figure(7.0, 4.0)
    axes = figure.add_subplot()
    groups = {"same option everywhere": [name for name in results if name.endswith(" everywhere")]}
    groups |= {f"chosen, {rule}": [name for name in results if name.startswith(f"{rule}, ")] for rule in RULES}
    for label, names in groups.items():
        points = sorted(_point(results[name].values()) for name in names)
        bits, error, spread = zip(*points, strict=True)
        axes.errorbar(bits, error, yerr=spread, marker="o", capsize=3, label=label)
    axes.axhline(_point(results["dense"].values())[1], color="gray", linewidth=0.8, label="dense")
    axes.set(xlabel="bits a weight, scales included", ylabel="test error in %", yscale="log")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3, which="both")
    return {"front.png": as_png(figure)}


def _point(runs: Any) -> tuple[float, float, float]:
    """Mean bits, mean error and deviation of the error."""
    bits, errors = ([run[name] for run in runs] for name in ("bits a weight", "error"))
    return statistics.fmean(bits), statistics.fmean(errors), statistics.stdev(errors) if len(errors) > 1 else 0.0


def _ready(problem: Problem, config: Mapping[str, Any], seed: int) -> Ready:
    data = data_of(problem)
    params = train(problem.apply, problem.initial_params(), data, config, seed=seed).params
    rows = drawn_rows(seed, config["calibration"], len(data.train_labels))
    batch = data.train[rows], data.train_labels[rows]
    _, stats = jax.jit(cj.observe(problem.apply, select=KERNELS))(params, batch[0])
    layout = cj.layouts(problem.apply)(params, data.train[:2])
    methods = {key: {KERNELS: recipe.make(method, where="--config.options")} for key, method in config["options"]}
    loss = cross_entropy(problem.apply)
    found = measure.leaf_losses(loss, params, [batch], methods, stats=stats, layout=layout)
    traces = measure.hessian_trace(
        loss, params, [batch], problem.key("probes"), probes=config["probes"], select=KERNELS
    )
    tables = {"measured": found.increases(), "Hessian": found.expected(traces)}
    return Ready(params, tables, found.costs(), stats, layout)
