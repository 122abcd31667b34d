"""Prints what cleaning finds of what was planted: `python -m experiments.bench.cleaning NAME [PATH]`.

NAME is a data set of images, `digits` or `fashion_mnist`. In one of 20 rows the label becomes another class; labels are
judged by the mean of three small networks, which four folds trained without the row. Then near copies of one of 200
rows, in which one of 20 pixels becomes black, are searched among all rows.
"""

import statistics
import sys
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import data
from experiments import models
from experiments.datasets import load
from experiments.reproduce.loop import Data, train

MARGINS = (None, 0.4, 0.5, 0.6, 0.7)
_FOLDS, _NETWORKS, _EPOCHS, _BATCH = 4, 3, 15, 128
_STEPS = 800  # at least
_FADED = 0.05


def guesses(x: Any, labels: Any, new: Any, classes: int) -> np.ndarray:
    """Mean probabilities of small networks that were trained on some rows, for new rows."""
    network = models.MLP((256,), classes)
    steps = max(_STEPS, _EPOCHS * len(x) // _BATCH)
    settings = {
        "steps": steps, "chunk": steps, "batch": min(_BATCH, len(x)), "learning_rate": 1e-3, "cosine": True,
        "scan": True,
    }  # fmt: skip
    rows = Data(jnp.asarray(x), jnp.asarray(labels), x[:1], labels[:1])

    def apply(params: Any, x: jax.Array) -> jax.Array:
        return network.apply({"params": params}, x)

    found, logits = [], jax.jit(apply)
    for seed in range(_NETWORKS):
        start = network.init(jax.random.key(seed), x[:1])["params"]
        found.append(jax.nn.softmax(logits(train(apply, start, rows, settings, seed=seed).params, new)))
    return np.mean(found, axis=0)


def label_rows(x: np.ndarray, labels: np.ndarray, seed: int) -> list[tuple[float, float, float]]:
    """Percent found, precision in percent, and rows named, for every margin."""
    draw, classes = np.random.default_rng(seed), int(labels.max()) + 1
    wrong = draw.random(len(labels)) < 0.05
    given = np.where(wrong, (labels + draw.integers(1, classes, len(labels))) % classes, labels)
    key = jax.random.key(seed)
    p = data.cross_validated(
        x, given, classes, key, folds=_FOLDS, fit_predict=lambda a, y, b: guesses(a, y, b, classes)
    )
    lines = []
    for margin in MARGINS:
        rows = [f.row for f in data.find_label_errors(given, p, margin=margin).findings]
        hits = wrong[rows].sum()
        lines.append((100 * hits / wrong.sum(), 100 * hits / max(len(rows), 1), float(len(rows))))
    return lines


def copies(x: np.ndarray, seed: int) -> tuple[float, float, float]:
    """Percent of planted near copies that are found, seconds, and other rows named, after a call that compiles."""
    draw = np.random.default_rng(seed)
    rows = draw.choice(len(x), max(1, len(x) // 200), replace=False)
    planted = np.where(draw.random((len(rows), x.shape[1])) < _FADED, 0, x[rows])
    every = np.concatenate([x, planted])
    data.find_near_duplicates(every[:100])
    start = time.perf_counter()
    found = {f.row for f in data.find_near_duplicates(every).findings}
    seconds = time.perf_counter() - start
    hits = len(found & set(range(len(x), len(every))))
    return 100 * hits / len(rows), seconds, float(len(found) - hits)


def table(x: np.ndarray, labels: np.ndarray, seeds: int) -> str:
    """Two Markdown tables, means over seeds."""
    runs = [label_rows(x, labels, seed) for seed in range(seeds)]
    lines = ["| rule | planted labels found, % | precision, % | rows named |", "|---|---:|---:|---:|"]
    for margin, *each in zip(MARGINS, *runs, strict=True):
        recall, precision, count = (statistics.fmean(values) for values in zip(*each, strict=True))
        rule = "thresholds" if margin is None else f"margin {margin}"
        lines.append(f"| {rule} | {recall:.1f} | {precision:.1f} | {count:.0f} |")
    recall, seconds, others = (statistics.fmean(v) for v in zip(*(copies(x, s) for s in range(seeds)), strict=True))
    lines += ["", "| rows | near copies found, % | seconds | other rows named |", "|---:|---:|---:|---:|"]
    return "\n".join([*lines, f"| {len(x):,} | {recall:.1f} | {seconds:.1f} | {others:.0f} |"])


def main(words: list[str]) -> None:
    """Runs the command."""
    held = load(words[0], *words[1:2])
    x = held.train_images.reshape(len(held.train_images), -1).astype(np.float32)
    print(table(x / max(float(x.max()), 1.0), held.train_labels.astype(np.int64), seeds=3))


if __name__ == "__main__":
    main(sys.argv[1:])
