"""Finds the units that group penalties, gates and channel masks leave alive."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from compressjax.core import kernels, values
from compressjax.interpret import Group
from compressjax.saliency import unit_scores


def alive(groups: Sequence[Group], params: Any) -> dict[str, list[int]]:
    """Returns the units with a nonzero weight in every kernel; at least one per group.

    A unit is dead if its column in the kernel that computes it, or its rows in a kernel that reads it, are zero.
    """
    sizes = {path: jnp.abs(x) for path, x in values(params).items() if kernels(path, x)}
    owned = unit_scores(sizes, {(g.name, m[:2]): [m] for g in groups for m in g.members if m.path in sizes})
    out = {}
    for group in groups:
        mine = [owned[group.name, m[:2]] for m in group.members if m.path in sizes]
        least = np.min(mine, axis=0) if mine else np.ones(group.units)
        living = np.flatnonzero(least > 0).tolist()
        if len(living) < group.units:
            out[group.name] = living or [0]
    return out
