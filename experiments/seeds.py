"""A job over several seeds: `python -m experiments.seeds --config=configs/digits.py --workdir=DIR --seeds=0,1,2`.

Each seed runs the main job in a separate process, in `DIR/seed-N`. Interrupted runs resume, finished ones are read. The
table of means and ranges is also written to `seeds.json` and `seeds.md`.
"""

import json
import math
import os
import statistics
from typing import Any

from absl import flags

from experiments import app, jobs, pipeline
from experiments.view import make_console

_SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds, separated by commas.")

# Flags of the main job, such as `--tried` and `--iid` of its certificate, are read here too, and passed on.
MAIN = pipeline.compress

ROWS = (
    ("ratio", lambda r: r["ratio"], "{:.1f}x"),
    ("file bytes", lambda r: r["file_bytes"], "{:,.0f}"),
    ("dense error, %", lambda r: 100 * (1 - r["accuracy"]["dense"]), "{:.2f}"),
    ("compressed error, %", lambda r: 100 * (1 - r["accuracy"]["compressed"]), "{:.2f}"),
    ("difference, points", lambda r: 100 * (r["accuracy"]["dense"] - r["accuracy"]["compressed"]), "{:+.2f}"),
    ("changed predictions", lambda r: r["accuracy"]["changed_predictions"], "{:.0f}"),
    ("speed-up, batch 1", lambda r: r["speedup"]["1"]["value"], "{:.2f}x"),
    ("speed-up, batch 256", lambda r: r["speedup"]["256"]["value"], "{:.2f}x"),
    ("bound on the error, %", lambda r: 100 * r["certificate"].get("bound", math.nan), "{:.2f}"),
)


def run_seeds(launch: app.Launch) -> None:
    """Runs every seed and prints the table.

    Args:
        launch: config, folders and devices; the config's own seed is not used.

    Raises:
        ValueError: when a seed is not a number, or a run fails.
    """
    if not _SEEDS.value or not all(seed.isdigit() for seed in _SEEDS.value):
        raise ValueError(f"--seeds={','.join(_SEEDS.value)} must be whole numbers, as in --seeds=0,1,2")
    reports = []
    for seed in _SEEDS.value:
        folder = os.path.join(launch.workdir, f"seed-{seed}")
        own = [f"--config.seed={seed}", f"--workdir={folder}"]
        if status := jobs.wait(jobs.start(*jobs.passed("seeds", "workdir", "config.seed"), *own)):
            raise ValueError(f"seed {seed} ended with status {status}; see its message above")
        with open(os.path.join(folder, "report.json"), encoding="utf-8") as file:
            reports.append(json.load(file))
    text = table(reports, _SEEDS.value)
    app.write(launch.workdir, {"seeds.md": text, "seeds.json": json.dumps(summary(reports), indent=2) + "\n"})
    make_console().print(text, markup=False)


def summary(reports: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Mean, range and values of each number of `ROWS` over the seeds; a bound only if no certificate was refused."""
    found = {}
    for name, get, _ in ROWS:
        values = [get(report) for report in reports]
        if any(math.isnan(value) for value in values):  # a certificate that was refused
            continue
        found[name] = {"mean": statistics.fmean(values), "low": min(values), "high": max(values), "values": values}
    return found


def table(reports: list[dict[str, Any]], seeds: list[str]) -> str:
    """The summary as a Markdown table.

    Args:
        reports: one a seed.
        seeds: their names.

    Returns:
        The text.
    """
    lines = ["| | mean | " + " | ".join(f"seed {seed}" for seed in seeds) + " |", "|---|" + "---:|" * (1 + len(seeds))]
    texts = {name: text for name, _, text in ROWS}
    for name, row in summary(reports).items():
        text = texts[name]
        lines.append(f"| {name} | " + " | ".join(text.format(x) for x in (row["mean"], *row["values"])) + " |")
    return (
        "\n".join(lines)
        + f"\n\n{reports[0]['machine']}; "
        + ", ".join(f"{name} {version}" for name, version in reports[0]["versions"].items())
        + "\n"
    )


if __name__ == "__main__":
    app.launch(run_seeds, spreads=True)
