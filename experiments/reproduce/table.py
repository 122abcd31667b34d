"""Results of a grid next to a paper's figures."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple


class Claim(NamedTuple):
    """A target for one setting, or for the difference between two.

    Attributes:
        name: Name of the setting.
        against: Setting to compare with; empty for the figure itself.
        low: Least mean (of the difference) in points that meets the target, or None.
        high: Greatest such mean, or None.
        paper: The paper's own figure, as text.
        figure: Name of the figure.
    """

    name: str
    against: str = ""
    low: float | None = None
    high: float | None = None
    paper: str = ""
    figure: str = "error"


def asked(config: Mapping[str, Any], names: Iterable[str]) -> list[Claim]:
    """The config's targets for settings that the grid has; an override may have taken some out."""
    there = {*names, ""}
    return [claim for claim in (Claim(*row) for row in config["asked"]) if {claim.name, claim.against} <= there]


Results = Mapping[str, Mapping[int, Mapping[str, float]]]


def render(results: Results, claims: Sequence[Claim], about: Mapping[str, Any]) -> str:
    """Both tables as Markdown: every setting over the seeds, then every claim with its result.

    Args:
        results: `{setting: {seed: figures}}`; all figures of a setting have the same names.
        claims: of the study.
        about: machine and versions.

    Returns:
        The text.
    """
    dense = results.get("dense")
    figures = list(dict.fromkeys(key for runs in results.values() for run in runs.values() for key in run))
    head = ["setting", *figures, *(["error - dense"] if dense else [])]
    lines = [f"| {' | '.join(head)} |", "|---|" + "---:|" * (len(head) - 1)]
    for name, runs in results.items():
        row = [spread([run[key] for run in runs.values() if key in run]) for key in figures]
        if dense:
            row.append(spread(differences(results, name, "dense"), sign=True))
        lines.append(f"| {name} | {' | '.join(row)} |")
    if claims:
        lines += ["", "| target | of | ours | paper | |", "|---|---|---:|---:|---|"]
        lines += [judged(results, claim) for claim in claims]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    seeds = sorted({seed for runs in results.values() for seed in runs})
    notes = f"Mean and standard deviation over seeds {', '.join(map(str, seeds))}. {about['machine']}; {versions}"
    return "\n".join(lines) + f"\n\n{notes}\n"


def differences(results: Results, name: str, other: str, figure: str = "error") -> list[float]:
    """Differences of a figure between two settings, per seed."""
    return [run[figure] - results[other][seed][figure] for seed, run in results[name].items()]


def spread(values: Sequence[float], *, sign: bool = False) -> str:
    """Mean and standard deviation as text.

    Example:
        >>> spread([1.0, 2.0, 3.0])
        '2.00 ± 1.00'
    """
    if not values:
        return "–"
    mean = f"{statistics.fmean(values):+.2f}" if sign else f"{statistics.fmean(values):.2f}"
    return f"{mean} ± {statistics.stdev(values):.2f}" if len(values) > 1 else mean


def judged(results: Results, claim: Claim) -> str:
    """One row of the table of claims."""
    if claim.against:
        values = differences(results, claim.name, claim.against, claim.figure)
    else:
        values = [run[claim.figure] for run in results[claim.name].values()]
    mean = statistics.fmean(values)
    met = (claim.low is None or mean >= claim.low) and (claim.high is None or mean <= claim.high)
    target = " and ".join(
        f"{word} {bound:+.1f}" if claim.against else f"{word} {bound:.1f}"
        for word, bound in (("at least", claim.low), ("at most", claim.high))
        if bound is not None
    )
    of = f"{claim.name} - {claim.against}" if claim.against else claim.name
    of = of if claim.figure == "error" else f"{of}, {claim.figure}"
    verdict = ("met" if met else "**missed**") if target else ""
    return f"| {target or '–'} | {of} | {spread(values, sign=bool(claim.against))} | {claim.paper or '–'} | {verdict} |"
