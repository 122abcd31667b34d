"""From results to the report's numbers."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from compressjax import artifact, core, measure
from compressjax.recipe import Stored


def build(
    stages: Mapping[str, Mapping[str, Any]],
    results: Mapping[str, Stored],
    manifest: artifact.Manifest,
    reloaded: Mapping[str, Any],
    predictions: np.ndarray,
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """The report as JSON values.

    Args:
        stages: facts by stage, in order; the first is the dense teacher.
        results: trees and predictions by stage.
        manifest: of the saved file.
        reloaded: what the fresh process found.
        predictions: what the fresh process predicted.
        about: further top-level fields.

    Returns:
        The report.
    """
    ledger = manifest.ledger
    names = list(stages)
    dense = results[names[0]].tree
    first = stages[names[0]]
    intervals = {
        name: list(measure.wilson(facts["correct"], facts["examples"])[1:])
        for name, facts in (("dense", first), ("compressed", reloaded))
    }
    return {
        "float32_bytes": ledger.float32_bytes,
        "file_bytes": ledger.file_bytes,
        "ratio": ledger.float32_bytes / ledger.file_bytes,
        "accuracy": {
            "dense": first["accuracy"],
            "compressed": reloaded["accuracy"],
            "interval": intervals,
            "examples": reloaded["examples"],
            "changed_predictions": int((predictions != dense["predictions"]).sum()),
            "recovery": recovery(stages),
        },
        "latency_ms": reloaded["latency_ms"],
        "speedup": reloaded["speedup"],
        "memory_bytes": {**reloaded["memory_bytes"], "process_peak": reloaded["peak_rss_bytes"]},
        "stages": [{"stage": name, **facts} for name, facts in stages.items()],
        "leaves": leaf_rows(ledger, dense["params"], results[names[-1]].tree["params"], reloaded["execution"]),
        "reload": {
            "same_predictions_as_before_saving": bool((predictions == results[names[-1]].tree["predictions"]).all())
        },
        **about,
    }


def recovery(stages: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    """Accuracy and changed predictions before and after the stage `distil`; `None` without one."""
    names = list(stages)
    if "distil" not in names:
        return None
    place = names.index("distil")
    return {
        when: {key: stages[name].get(key) for key in ("accuracy", "correct", "changed_predictions")}
        for when, name in (("before", names[place - 1]), ("after", "distil"))
    }


def leaf_rows(
    ledger: artifact.Ledger, dense: Any, compressed: Any, execution: Mapping[str, str]
) -> list[dict[str, Any]]:
    """One row a leaf, and one for each part of the file that is no leaf; their bytes add up to the file's length.

    Args:
        ledger: of the file.
        dense: the teacher's parameters.
        compressed: the tree of the file.
        execution: how the leaves ran.

    Returns:
        The rows.
    """
    before, after = core.nodes(dense), core.nodes(compressed)
    rows = []
    for row in ledger.leaves:
        entries = row.float32_bytes // 4
        rows.append(
            {
                "path": row.path,
                "shape": list(row.shape or ()),
                "method": row.nodes,
                "bits_per_weight": 8 * row.file_bytes / max(entries, 1),
                "float32_bytes": row.float32_bytes,
                "packed_bytes": row.packed_bytes,
                "file_bytes": row.file_bytes,
                "sqnr_db": sqnr_db(before[row.path], core.dense(after[row.path])),
                "execution": execution.get(row.path, "dense"),
                "codecs": list(row.codecs),
            }
        )
    for name, size in ledger.rest.items():
        rows.append({
            "path": f"({name})", "shape": None, "method": "overhead", "bits_per_weight": None, "float32_bytes": 0,
            "packed_bytes": None, "file_bytes": size, "sqnr_db": None, "execution": None, "codecs": [],
        })  # fmt: skip
    return rows


def sqnr_db(signal: Any, approximation: Any) -> float | None:
    """Signal-to-noise ratio of an approximation, in decibels; `None` when it is exact.

    .. math:: 10 \\log_{10} (\\|w\\|^2 / \\|w - \\hat w\\|^2)

    Args:
        signal: the teacher's weights.
        approximation: the stored weights.

    Returns:
        The ratio.

    Example:
        >>> round(sqnr_db(np.array([3.0, 4.0]), np.array([3.0, 3.5])), 6)
        20.0
    """
    w, v = np.asarray(signal, np.float64), np.asarray(approximation, np.float64)
    noise = float(((w - v) ** 2).sum())
    power = float((w**2).sum())
    return 10 * float(np.log10(power / noise)) if noise and power else None
