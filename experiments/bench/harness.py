"""Runs the cases of a study: interleaved timings, ratios with intervals, checked bars, as plain data."""

import importlib
import re
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import ml_collections

from compressjax import measure
from experiments.bench import machine

STUDIES = (
    "int8",
    "gptq",
    "compressing",
    "low_rank",
    "lifting",
    "coding",
    "coded",
    "training",
    "pruning",
    "splitting",
    "decoding",
    "networks",
    "data",
    "kmeans",
)
OURS = "compressjax"


class Case(NamedTuple):
    """One comparison.

    Attributes:
        name: Name in bars and tables.
        contenders: Functions without arguments, by name; the first is the baseline of all ratios.
        facts: Numbers that are not times (errors, bytes), by name.
        skipped: Peers that could not run, with the reason.
        work: Units of work per call, such as symbols coded; positive numbers give rates.
    """

    name: str
    contenders: Mapping[str, Callable[[], Any]]
    facts: Mapping[str, Any] = {}
    skipped: Mapping[str, str] = {}
    work: float = 0.0


def study(name: str) -> Callable[[ml_collections.ConfigDict], Iterable[Case]]:
    """The function that makes the cases of a study.

    Args:
        name: one of `STUDIES`.

    Returns:
        A function from the config to its cases.

    Raises:
        ValueError: if there is no such study.
    """
    if name not in STUDIES:
        raise ValueError(f"study={name!r} does not exist; config.study is one of {', '.join(STUDIES)}")
    return importlib.import_module(f"experiments.bench.{name}").cases


def rows(case: Case, timing: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Times the contenders of a case, interleaved.

    Args:
        case: The comparison.
        timing: `warmup`, `rounds`, and `inner` as for `measure.interleaved`.

    Returns:
        One row per contender, the baseline first, then one per skipped peer.
    """
    timings = measure.interleaved(*case.contenders.values(), **timing)
    found: list[dict[str, Any]] = []
    for name, median, ratio, inner in zip(case.contenders, timings.medians, timings.ratios, timings.inner):
        row = {"case": case.name, "contender": name, "median_ms": median * 1e3, "ratio": ratio.value}
        row |= {"ratio_low": ratio.low, "ratio_high": ratio.high, "calls_per_sample": inner}
        if case.work:
            row["rate"] = case.work / median
        found.append(row)
    return found + [{"case": case.name, "contender": name, "skipped": why} for name, why in case.skipped.items()]


def bars(wanted: Iterable[tuple], found: list[dict[str, Any]], facts: Mapping[str, Mapping[str, Any]]) -> list[dict]:
    """Compares measurements with their targets.

    Args:
        wanted: `(case, contender, quantity, relation, bound)`: a pattern for the case's whole name, a contender ('' for
            facts of the case), a field of the row or a fact, `">="` or `"<="`, and a number. The case "all cases" has
            the geometric means of the ratios as facts.
        found: Rows of all cases.
        facts: Facts of each case.

    Returns:
        One entry per bar and matching case: the value and whether the bar is met.

    Raises:
        ValueError: If a bar matches no case, or its relation is unknown.
    """
    checked = []
    for pattern, contender, quantity, relation, bound in wanted:
        if relation not in (">=", "<="):
            raise ValueError(f"bar on {pattern!r}: relation {relation!r} is unknown; write '>=' or '<='")
        values = {row["case"]: row[quantity] for row in found if row["contender"] == contender and quantity in row}
        if not contender:
            values = {name: numbers[quantity] for name, numbers in facts.items() if quantity in numbers}
        values = {name: value for name, value in values.items() if re.fullmatch(pattern, name)}
        if not values:
            raise ValueError(f"the bar on {quantity} of {contender!r} matches no case: {pattern!r}; fix its pattern")
        for name, value in values.items():
            met = value >= bound if relation == ">=" else value <= bound
            what = {"case": name, "contender": contender, "quantity": quantity, "bar": f"{relation} {bound:g}"}
            checked.append({**what, "value": float(value), "met": bool(met)})
    return checked


def means(found: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """The geometric means of the ratios of every contender, over all cases.

    Args:
        found: Rows of all cases.

    Returns:
        `{"geometric mean of NAME": ratio}`.
    """
    ratios: dict[str, list[float]] = {}
    for row in found:
        if "ratio" in row:
            ratios.setdefault(f"geometric mean of {row['contender']}", []).append(row["ratio"])
    return {name: statistics.geometric_mean(values) for name, values in ratios.items()}


def run(config: ml_collections.ConfigDict) -> Iterator[dict[str, Any]]:
    """Runs a study and yields the report after every case, so that an interrupted run keeps its results.

    Args:
        config: `study`, `timing`, `bars`, and the study's own fields.

    Yields:
        The report so far: the config, the machine, rows, facts; the last one also has the bars.
    """
    report: dict[str, Any] = {"study": config.study, "config": config.to_dict(), "machine": machine.describe()}
    report |= {"rows": [], "facts": {}, "bars": [], "complete": False}
    for case in study(config.study)(config):
        report["rows"] += rows(case, config.timing)
        report["facts"][case.name] = dict(case.facts)
        yield report
    every = {**report["facts"], "all cases": means(report["rows"])}
    report["bars"] = bars(config.bars, report["rows"], every)
    report["machine"]["load_after"] = machine.load()
    report["complete"] = True
    yield report
