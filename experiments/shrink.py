"""Removes half the channels: `python -m experiments.shrink --config=configs/shrink_fashion_mnist.py --workdir=DIR`.

Trains a residual network with BatchNorm, removes channels from every block and checks the result against zeros in the
weights. Then builds the Linen module of the smaller widths, fine-tunes it, and times both, interleaved. The work
directory holds `shrink.json`, and a list of all groups as `groups.csv` and `groups.png`.
"""

import functools
import json
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax

from compressjax import measure, structure
from experiments import app, models
from experiments.plots import as_csv, plot_groups
from experiments.problem import as_variables, make_problem
from experiments.stages import build, execute
from experiments.view import View


def speeds(
    models: Mapping[str, tuple[nn.Module, Any]], shape: tuple[int, ...], config: Mapping[str, Any]
) -> dict[str, Any]:
    """Interleaved timings of both networks by batch size.

    Args:
        models: `(module, variables)` by name; the first is the baseline.
        shape: Shape of an image.
        config: `batches` and `timing`.

    Returns:
        Per batch size, milliseconds by name and the ratio with its interval.
    """
    found = {}
    for batch in config["batches"]:
        x = jax.random.normal(jax.random.key(0), (batch, *shape))
        thunks = [functools.partial(jax.jit(module.apply), variables, x) for module, variables in models.values()]
        timed = measure.interleaved(*thunks, **config["timing"])
        found[str(batch)] = {
            "milliseconds": dict(zip(models, (1e3 * m for m in timed.medians))), "faster": timed.ratios[1]._asdict(),
        }  # fmt: skip
    return found


def report(launch: app.Launch) -> None:
    """Runs the experiment.

    Args:
        launch: config and folders; see `configs/shrink_fashion_mnist.py` for the fields. One of the stages is `shrink`.
    """
    config, view = launch.config, View()
    problem = make_problem(config, launch.data_cache, launch.mesh)
    stages = build(problem, config)
    cutting = [stage.name for stage in stages if stage.settings["name"] == "shrink"]
    if not cutting:
        raise ValueError("config.stages has no `shrink`; run experiments.compress on such a config")
    app.claim(launch)
    facts, results = execute(stages, launch.cache, problem, view)
    shrunk = facts[cutting[0]]
    first, last, cut = stages[0].name, stages[-1].name, shrunk["cut"]
    example = problem.standardized(problem.data.train_images[:64])
    variables = {
        name: (models.create(**facts[stage]["network"]), as_variables(results[stage].tree["params"]))
        for name, stage in (("dense", first), ("shrunk", last))
    }
    accuracy = {
        name: 100 * row["accuracy"]
        for name, row in (("dense", facts[first]), ("cut", shrunk), ("recovered", facts[last]))
    }
    cuts = [structure.Cut(**row) for row in cut["groups"]]
    found = {
        **app.describe_machine(), "command": app.command(), "accuracy": accuracy,
        "points_lost": accuracy["dense"] - accuracy["recovered"], "error_of_cut": cut["error"],
        "parameters": {"dense": cut["before"]["parameters"], "shrunk": cut["after"]["parameters"]},
        "bytes": {"dense": cut["before"]["bytes"], "shrunk": cut["after"]["bytes"]},
        "flops": {
            "xla": {name: measure.flops(net.apply, p, example) for name, (net, p) in variables.items()},
            "predicted": {"dense": cut["before"]["flops"], "shrunk": cut["after"]["flops"]},
        },
        "speed": speeds(variables, problem.data.test_images.shape[1:], config),
        "widths": facts[last]["network"]["settings"],
        "groups": [row._asdict() for row in cuts if not row.reason],
    }  # fmt: skip
    files = {
        "shrink.json": json.dumps(found, indent=2) + "\n",
        "groups.csv": as_csv(structure.Cut._fields, cuts),
        "groups.png": plot_groups(cuts),
    }
    app.write(launch.workdir, files)
    view.console.print(as_text(found), markup=False)


def as_text(found: Mapping[str, Any]) -> str:
    """The figures as a Markdown table.

    Args:
        found: what `shrink.json` holds.

    Returns:
        The text.
    """
    lines = ["| | dense | shrunk |", "|---|---:|---:|"]
    accuracy, flops = found["accuracy"], found["flops"]
    lines.append(f"| accuracy, % | {accuracy['dense']:.2f} | {accuracy['recovered']:.2f} |")
    lines.append(f"| accuracy before recovery, % | | {accuracy['cut']:.2f} |")
    for name in ("parameters", "bytes"):
        lines.append(f"| {name} | {found[name]['dense']:,} | {found[name]['shrunk']:,} |")
    for name in ("predicted", "xla"):
        lines.append(f"| operations, 64 images, {name} | {flops[name]['dense']:,.0f} | {flops[name]['shrunk']:,.0f} |")
    for batch, row in found["speed"].items():
        times, ratio = row["milliseconds"], row["faster"]
        lines.append(
            f"| ms at batch {batch} | {times['dense']:.2f} | {times['shrunk']:.2f} "
            f"({ratio['value']:.2f}x faster, {ratio['low']:.2f} to {ratio['high']:.2f}) |"
        )
    lines.append(f"\nmasked and shrunk differ by {found['error_of_cut']:.1e}; {found['points_lost']:+.2f} points lost")
    return "\n".join(lines)


if __name__ == "__main__":
    app.launch(report)
