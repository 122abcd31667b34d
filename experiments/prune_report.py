"""How far layers can be pruned: `python -m experiments.prune_report --config=configs/prune_report.py --workdir=DIR`.

Trains the dense network (or reads it from the cache) and measures the accuracy with each leaf pruned alone at every
sparsity. Estimates the same curves from one pass of gradients and correlates the two rankings. Then prunes the whole
network by several methods without training and lists masks, dead units and accuracies. The work directory holds
`sensitivity.csv`, `sensitivity.png`, `masks.csv`, `masks.png` and `prune_report.json`.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import core, measure, observe, recipe
from experiments import app, limits
from experiments.plots import as_csv, plot_curves, plot_masks
from experiments.problem import Problem, assess, cross_entropy, make_problem, predict
from experiments.stages import build, execute, makers
from experiments.stages.facts import observed
from experiments.view import View, make_console


def report(launch: app.Launch) -> None:
    """Runs the report.

    Args:
        launch: config and folders; see `configs/prune_report.py` for the fields.
    """
    config, console = launch.config, make_console()
    problem = make_problem(config, launch.data_cache, launch.mesh)
    stages = build(problem, config)
    limits.check(config, {"examples": limits.COUNT, "batch": limits.COUNT}, "--config.")
    app.claim(launch)
    _, results = execute(stages, launch.cache, problem, View())
    params = jax.tree.map(jnp.asarray, results[stages[-1].name].tree["params"])
    true, estimated = curves(problem, config, params)
    agreed = measure.agreement(estimated, true)
    console.print(as_text(true, estimated, agreed), markup=False)
    rows = prune_all(problem, config, params, true)
    for row in rows:
        console.print(f"{row['method']:>24} {100 * row['sparsity']:.0f} %: {100 * row['accuracy']:.2f} % accuracy")
    found = {
        **app.describe_machine(), "command": app.command(), "base_loss": true.base, "sparsities": true.sparsities,
        "true": {path: curve.tolist() for path, curve in true.losses.items()},
        "estimated": {path: curve.tolist() for path, curve in estimated.losses.items()},
        "rank_correlation": agreed._asdict(), "pruned": rows,
    }  # fmt: skip
    files = {
        "sensitivity.csv": curves_csv(true, estimated),
        "sensitivity.png": plot_curves(true, estimated),
        "masks.csv": masks_csv(rows),
        "masks.png": plot_masks(rows),
        "prune_report.json": json.dumps(found, indent=2) + "\n",
    }
    app.write(launch.workdir, files)
    console.print(f"written to {launch.workdir}: {', '.join(files)}", markup=False)


def curves(problem: Problem, config: Mapping[str, Any], params: Any) -> tuple[measure.Sensitivity, measure.Sensitivity]:
    """True and estimated curves on the first training examples.

    Args:
        problem: network and data.
        config: with `examples`, `batch` and `sparsities`.
        params: trained.

    Returns:
        Both.
    """
    starts = range(0, config["examples"], config["batch"])
    batches = [
        (problem.images[i : i + config["batch"]], problem.labels[i : i + config["batch"]]) for i in starts
    ]  # fmt: skip
    loss, sparsities = cross_entropy(problem.apply), tuple(config["sparsities"])
    true = measure.sensitivity(loss, params, batches, sparsities)
    return true, measure.estimated_sensitivity(loss, params, batches, sparsities)


def prune_all(
    problem: Problem, config: Mapping[str, Any], params: Any, true: measure.Sensitivity
) -> list[dict[str, Any]]:
    """Prunes without training, by every method and at every total sparsity.

    Args:
        problem: Network and data.
        config: `methods` (pairs of a label and a spec for `recipe.make`), `examples`, `batch` and `totals`.
        params: Trained parameters.
        true: Measured curves, for distributions by sensitivity.

    Returns:
        One row per method and sparsity: accuracy, masks by leaf, dead units.
    """
    batches = [(problem.images[: config["batch"]], problem.labels[: config["batch"]])]
    stats, rows = observed(problem, {"examples": config["examples"]}, params), []
    for total in config["totals"]:
        given = {
            **makers(problem),
            **{name: lambda value=value: value for name, value in true._asdict().items()},
            "batches": lambda: batches,
            "sparsity": lambda total=total: total,
        }
        for name, spec in config["methods"]:
            method = recipe.make(spec, given=given, where=f"config.methods: {name}")
            tree = recipe.Work(name, params, method).apply(stats)
            rows.append({"method": name, "sparsity": total, **facts(problem, config, tree)})
    return rows


def facts(problem: Problem, config: Mapping[str, Any], tree: Any) -> dict[str, Any]:
    """Accuracy, mask statistics and dead units of a pruned network.

    Args:
        problem: network and data.
        config: with `examples`.
        tree: with nodes.

    Returns:
        `accuracy`, `masks` and `dead`, numbers of units by leaf.
    """
    dense = core.materialize(tree)
    logits = predict(problem.apply, dense, problem.data.test_images)
    _, stats = jax.jit(observe(problem.apply, gram=False))(dense, problem.images[: config["examples"]])
    dead = measure.dead_units(tree, stats)
    return {
        "accuracy": assess(logits, problem.data.test_labels)["accuracy"],
        "masks": {path: found._asdict() for path, found in measure.mask_statistics(tree).items()},
        "dead": {
            path: {name: int(np.size(units)) for name, units in found._asdict().items()} for path, found in dead.items()
        },
    }


def as_text(true: measure.Sensitivity, estimated: measure.Sensitivity, agreed: measure.Agreement) -> str:
    """The curves as a Markdown table, with the rank correlation below.

    Args:
        true: by trying.
        estimated: by gradients.
        agreed: their rank correlation.

    Returns:
        The text.
    """
    lines = ["| loss (estimate) | " + " | ".join(f"{100 * s:g} %" for s in true.sparsities) + " |"]
    lines.append("|---|" + "---:|" * len(true.sparsities))
    for path in true.losses:
        pairs = zip(true.losses[path], estimated.losses[path])
        lines.append(f"| {path} | " + " | ".join(f"{a:.3f} ({b:.3f})" for a, b in pairs) + " |")
    by_sparsity = ", ".join(f"{100 * s:g} %: {r:.2f}" for s, r in zip(true.sparsities, agreed.leaves))
    return "\n".join(lines) + (
        f"\n\nloss without zeros {true.base:.3f}; rank correlation of estimate and truth {agreed.overall:.3f} "
        f"over all, between leaves at {by_sparsity}\n"
    )


def curves_csv(true: measure.Sensitivity, estimated: measure.Sensitivity) -> str:
    """Both sets of curves, one line per leaf and sparsity.

    Args:
        true: by trying.
        estimated: by gradients.

    Returns:
        CSV.
    """
    rows = [
        (path, true.sizes[path], s, true.base, float(true.losses[path][i]), float(estimated.losses[path][i]))
        for path in true.losses
        for i, s in enumerate(true.sparsities)
    ]
    return as_csv(("leaf", "entries", "sparsity", "base", "loss", "estimated_loss"), rows)


def masks_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Mask statistics and dead units, one line per method, sparsity and leaf.

    Args:
        rows: from `prune_all`.

    Returns:
        CSV.
    """
    lines, head = [], None
    for row in rows:
        for path, mask in row["masks"].items():
            dead = row["dead"][path]
            head = ("method", "sparsity", "accuracy", "leaf", *mask, *dead)
            flat = [" ".join(x) if isinstance(x, tuple) else x for x in mask.values()]
            lines.append((row["method"], row["sparsity"], row["accuracy"], path, *flat, *dead.values()))
    return as_csv(head or (), lines)


if __name__ == "__main__":
    app.launch(report)
