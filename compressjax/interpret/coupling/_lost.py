"""The units that are removed, given the units to keep, with checks against the groups."""

from collections.abc import Mapping, Sequence

from compressjax.interpret.coupling._couplings import Group
from compressjax.interpret.coupling._label_flow import LOOP_AXIS


def lost_units(
    groups: Sequence[Group], kept: Mapping[str, Sequence[int]], *, loops: bool = False
) -> dict[str, list[int]]:
    """Returns the units that are removed, by group.

    Args:
        groups: Groups that `couplings` returned.
        kept: Units to keep, by the name of their group; absent groups keep all units.
        loops: Whether layers of a `scan` may be removed, although a masked layer differs from a removed one.

    Returns:
        `{group: units}`, ascending; an empty list for a group that keeps all units.

    Raises:
        ValueError: If a group does not exist or is frozen, or if `kept` is empty or has a unit that does not exist.

    Example:
        >>> lost_units([Group("a:1", (), 3, None, None)], {"a:1": [1]})
        {'a:1': [0, 2]}
    """
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
