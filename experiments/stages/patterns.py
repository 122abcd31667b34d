"""Patterns are checked before anything is trained: a slip in the last stage must not cost the hours of the first."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import jax

from compressjax import core
from experiments.problem import Problem

# What a leaf's path may end in once an earlier stage has put a node there.
PARTS = ("", "/left", "/right", "/value", "/centroids", "/value/centroids", "/left/centroids", "/right/centroids")


def check_patterns(problem: Problem, config: Mapping[str, Any]) -> None:
    """Refuses patterns of the stages to come that no leaf of the network could match.

    Args:
        problem: network and data.
        config: of the run.

    Raises:
        ValueError: when a pattern is no regular expression, or matches nothing; names the field and the leaves.
    """
    leaves = core.values(jax.eval_shape(problem.initial_params))
    for field, pattern in _fields(config):
        try:
            compiled = re.compile(pattern)
        except re.error as error:
            raise ValueError(f"--config.{field}: {pattern!r} is no regular expression: {error}") from error
        if not any(compiled.fullmatch(path + part) for path in leaves for part in PARTS):
            raise ValueError(f"--config.{field}: pattern {pattern!r} matches none of {sorted(leaves)}; mend or drop it")


def _fields(config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Every pattern of the stages that will run, with the field that it stands in."""
    for stage in (name for name in config if name not in config["skip"]):
        settings = config[stage]
        for field in ("sparsity", "rules") if isinstance(settings, Mapping) else ():
            for row in settings.get(field, ()):
                yield f"{stage}.{field}", row[0]
        if isinstance(settings, Mapping) and "select" in settings:
            yield f"{stage}.select", settings["select"]
