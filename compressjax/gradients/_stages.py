"""Settings that change at steps, in programs whose shapes do not."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp


def by_steps(who: str, name: str, given: Any, check: Callable[[Any], Any]) -> dict[int, Any]:
    """A setting, or `{first step: setting}`, as the latter; every setting is checked."""
    if not isinstance(given, Mapping):
        return {0: check(given)}
    starts = sorted(given)
    if not starts or starts[0] != 0:
        raise ValueError(f"{who}: {name}={dict(given)} has no setting for step 0; start it so, as {{0: ...}}")
    return {int(start): check(given[start]) for start in starts}


def run_stage(step: jax.Array, stages: Mapping[int, Callable[..., Any]], *args: Any) -> Any:
    """Runs the function of the stage that a step is in; the others send nothing."""
    if len(stages) == 1:
        return next(iter(stages.values()))(*args)
    place = jnp.sum(step >= jnp.asarray(list(stages))) - 1
    return jax.lax.switch(place, list(stages.values()), *args)
