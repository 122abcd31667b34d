"""From results to the report's numbers."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from compressjax import artifact, core, interpret, measure
from compressjax.recipe import Stored

# Execution of a leaf, in the words of the report.
RAN = {"dense": "materialized", "fallback": "materialized", "unused": "unused"}


def build(
    stages: Mapping[str, Mapping[str, Any]],
    methods: Mapping[str, str],
    results: Mapping[str, Stored],
    manifest: artifact.Manifest,
    reloaded: Mapping[str, Any],
    predictions: np.ndarray,
    labels: np.ndarray,
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """The report as JSON values.

    Args:
        stages: facts by stage, in order; the first is the dense teacher.
        methods: names of methods or drivers by stage.
        results: trees and predictions by stage.
        manifest: of the saved file.
        reloaded: results of the reloading process.
        predictions: predictions of the reloading process.
        labels: of the test set.
        about: further top-level fields.

    Returns:
        The report.
    """
    ledger = manifest.ledger
    names = list(stages)
    dense = results[names[0]].tree
    first = stages[names[0]]
    intervals = {
        name: list(measure.accuracy_interval(facts["correct"], facts["examples"])[1:])
        for name, facts in (("dense", first), ("compressed", reloaded))
    }
    right = [guesses == labels for guesses in (dense["predictions"], predictions)]
    return {
        # Of the dense network: a stage may shrink arrays.
        "float32_bytes": first["float32_bytes"],
        "file_bytes": ledger.file_bytes,
        "ratio": first["float32_bytes"] / ledger.file_bytes,
        "accuracy": {
            "dense": first["accuracy"],
            "compressed": reloaded["accuracy"],
            "interval": intervals,
            "examples": reloaded["examples"],
            "changed_predictions": measure.changed_predictions(predictions, dense["predictions"]),
            "difference": measure.paired_difference(*right)._asdict(),
            "recovery": recovery(stages, methods),
        },
        "latency_ms": reloaded["latency_ms"],
        "speedup": reloaded["speedup"],
        "memory_bytes": {**reloaded["memory_bytes"], "process_peak": reloaded["peak_rss_bytes"]},
        "stages": [{"stage": name, **facts} for name, facts in stages.items()],
        "leaves": leaf_rows(manifest, dense["params"], results[names[-1]].tree["params"], reloaded["explained"]),
        "reload": {
            "same_predictions_as_before_saving": bool((predictions == results[names[-1]].tree["predictions"]).all())
        },
        **about,
    }


def recovery(stages: Mapping[str, Mapping[str, Any]], methods: Mapping[str, str]) -> dict[str, Any] | None:
    """Accuracy and changed predictions before and after the last stage of the driver `distill`; `None` without one.

    Args:
        stages: Facts by stage, in order.
        methods: Names of methods or drivers by stage; a stage's label may be any word.
    """
    names = list(stages)
    places = [i for i, name in enumerate(names) if methods[name] == "distill"]
    if not places:
        return None
    return {
        when: {key: stages[name].get(key) for key in ("accuracy", "correct", "changed_predictions")}
        for when, name in (("before", names[places[-1] - 1]), ("after", names[places[-1]]))
    }


def leaf_rows(
    manifest: artifact.Manifest, dense: Any, compressed: Any, explained: Sequence[Sequence[Any]]
) -> list[dict[str, Any]]:
    """One row per leaf and per other part of the file; their bytes add up to the file's length.

    Args:
        manifest: of the file.
        dense: the teacher's parameters.
        compressed: the tree of the file.
        explained: fields of the rows that `interpret.explain` gave.

    Returns:
        The rows.
    """
    shapes = [{path: leaf.shape for path, leaf in core.nodes(tree).items()} for tree in (dense, compressed)]
    rows = measure.leaves(
        compressed,
        original=dense if shapes[0] == shapes[1] else None,
        explained=[interpret.Row(*row) for row in explained],
        manifest=manifest,
        total=False,
    )
    for row in rows:
        # JSON has no infinity; an exact leaf has no noise.
        row["sqnr_db"] = None if row["sqnr_db"] is None or math.isinf(row["sqnr_db"]) else row["sqnr_db"]
        row["execution"] = RAN.get(row["execution"], row["execution"])
    return rows
