"""The units that are removed, given the units to keep, with checks against the groups."""

from collections.abc import Mapping, Sequence

from compressjax.interpret.coupling._couplings import Group
from compressjax.interpret.coupling._label_flow import LOOP_AXIS


def lost_units(
    groups: Sequence[Group], kept: Mapping[str, Sequence[int]], *, loops: bool = False
) -> dict[str, list[int]]:
    """Returns the units that are removed, by group."""
    by_name, lost = {group.name: group for group in groups}, {}
    free = ", ".join(group.name for group in groups if not group.frozen) or "none"
    for name, units in kept.items():
        if name not in by_name:
            raise ValueError(f"no group {name!r} in this function; groups that can be cut: {free}")
        group, stay = by_name[name], {int(unit) for unit in units}
        if not stay or not stay <= set(range(group.units)):
            raise ValueError(f"group {name!r} has units 0 to {group.units - 1}, and at least one must be kept; "
                             f"got keep {sorted(stay)}")  # fmt: skip
        lost[name] = [unit for unit in range(group.units) if unit not in stay]
        if lost[name] and group.frozen and not (loops and group.frozen == LOOP_AXIS):
            raise ValueError(f"group {name!r} ({group.units} units) cannot be cut: {group.frozen}; "
                             f"groups that can be cut: {free}")  # fmt: skip
    return lost
