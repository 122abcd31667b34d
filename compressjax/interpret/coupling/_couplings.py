"""`couplings`: which axes of which weights must be pruned together, read from the jaxpr."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from compressjax.core import is_node, kernels
from compressjax.core._paths import flatten_with_path, path_string
from compressjax.interpret.coupling._label_entries import ENTRIES
from compressjax.interpret.coupling._label_flow import FLOW, LOOP_AXIS
from compressjax.interpret.coupling._label_indexing import INDEXING_LABELS
from compressjax.interpret.coupling._label_layout import LAYOUT_LABELS
from compressjax.interpret.coupling._label_products import PRODUCT_LABELS
from compressjax.interpret.coupling._labels import LabeledTrace, Labels
from compressjax.interpret.jaxpr._symbolic import stand_in
from compressjax.interpret.jaxpr._trace import Program, trace
from compressjax.interpret.jaxpr._walk import effective

_RULES = ENTRIES | LAYOUT_LABELS | PRODUCT_LABELS | INDEXING_LABELS | FLOW
_LAST = "it is the only unit of its kind, and at least one must be kept"
_UNUSED = "the function does not use this weight"
_UNREAD = "never read by the example, but other inputs may read it; give an example that reads the whole axis"
_ENDS = "it reaches a result of the function"


class Member(NamedTuple):
    """One axis of one weight that belongs to a group.

    Attributes:
        path: Value path of the weight.
        axis: Axis of the weight.
        positions: `[units, k]`, the k positions of the axis that belong to each unit.
    """

    path: str
    axis: int
    positions: np.ndarray


class Group(NamedTuple):
    """Units that can be pruned one by one: channels, hidden units, heads, cells.

    Attributes:
        name: A member as `path:axis`, preferably the last axis of a kernel; numbered if several groups share it.
        members: All axes with positions of these units.
        units: Number of units.
        frozen: Why no unit can be pruned; None if they can.
        note: What else pruning may change, such as the divisor of a mean over the units; None in most groups.
    """

    name: str
    members: tuple[Member, ...]
    units: int
    frozen: str | None
    note: str | None


class LabeledFunction(NamedTuple):
    """A traced and labeled function."""

    program: Program
    labeled: LabeledTrace
    weights: dict[str, Labels]  # leaves of the first argument, by path
    inputs: list[Labels]  # all traced arguments


def label_function(fn: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> LabeledFunction:
    """Traces a function and labels every array in it."""
    if not args:
        raise ValueError("couplings: call the result as couplings(fn)(params, *args), with the weights first")
    flat, structure = flatten_with_path((tuple(args), kwargs), is_leaf=is_node)
    packed = [path_string(path[2:]) for path, leaf in flat if is_node(leaf)]
    if packed:
        raise ValueError(f"couplings reads dense arrays, but {packed[0]!r} is a node; pass materialize(params)")
    program = trace(fn, [leaf for _, leaf in flat], structure)
    labeled, weights, inputs = LabeledTrace(_RULES), {}, []
    for path, leaf in flat:
        if not hasattr(leaf, "shape") or not hasattr(leaf, "dtype"):
            continue
        shape = tuple(map(stand_in, leaf.shape))
        of_weights = path[0].idx == 0 and path[1].idx == 0
        if of_weights:
            labels = labeled.new(shape, zero=True)
            weights[path_string(path[2:])] = labels
        else:
            where = "/".join(str(getattr(key, "key", getattr(key, "idx", key))) for key in path[1:])
            axes = tuple(
                labeled.atoms.void(f"it is aligned with axis {axis} of argument {where}, which is data", n)
                for axis, n in enumerate(shape)
            )
            labels = Labels(axes, (False,) * len(axes))
        inputs.append(labels)
    _freeze_unused(labeled, program.closed.jaxpr, inputs)
    results = labeled.walk(program.closed.jaxpr, program.closed.consts, inputs, ())
    labeled.freeze(results, _ENDS)
    for loop in labeled.loops:
        labeled.atoms.freeze(loop, LOOP_AXIS)
    labeled.freeze_unread(list(weights.values()), _UNREAD)
    return LabeledFunction(program, labeled, weights, inputs)


def _freeze_unused(labeled: LabeledTrace, jaxpr: Any, inputs: Sequence[Labels]) -> None:
    labeled.freeze([x for x, used in zip(inputs, effective(jaxpr), strict=True) if not used], _UNUSED)


def groups_of(found: LabeledFunction) -> dict[str, tuple[Group, tuple[int, ...]]]:
    """Groups of a labeled function, each with the atoms of its units, in the order of their first members."""
    atoms = found.labeled.atoms
    places: dict[int, dict[tuple[str, int], list[int]]] = {}
    for path, labels in found.weights.items():
        for axis, vector in enumerate(labels.axes):
            for position, atom in enumerate(vector):
                for root in atoms.resolve(atom):
                    places.setdefault(root, {}).setdefault((path, axis), []).append(position)
    alike: dict[Any, list[int]] = {}
    for root, where in places.items():
        counts = tuple((key, len(found_at)) for key, found_at in where.items())
        alike.setdefault((atoms.family(root), counts, atoms.reason(root), atoms.note(root)), []).append(root)
    out: dict[str, tuple[Group, tuple[int, ...]]] = {}
    for (_, counts, reason, note), roots in alike.items():
        first = _name(found.weights, [key for key, _ in counts])
        name, number = first, 2
        while name in out:
            name, number = f"{first}#{number}", number + 1
        members = tuple(
            Member(path, axis, np.array([places[root][path, axis] for root in roots])) for (path, axis), _ in counts
        )
        reason = reason or (_LAST if len(roots) == 1 else None)
        out[name] = Group(name, members, len(roots), reason, note), tuple(roots)
    return out


def _name(weights: dict[str, Labels], members: Sequence[tuple[str, int]]) -> str:
    """`path:axis` of the axis that most likely produces the units: the last axis of a kernel, if there is one."""
    named = [(path, axis) for path, axis in members if kernels(path, weights[path])]
    wide = [(path, axis) for path, axis in members if len(weights[path].axes) > 1]
    last = [(path, axis) for path, axis in (*named, *wide) if axis == len(weights[path].axes) - 1]
    path, axis = (last or named or wide or list(members))[0]
    return f"{path}:{axis}"


def couplings(fn: Callable[..., Any]) -> Callable[..., list[Group]]:
    """Transforms a function into one that returns which axes of which weights must be pruned together.

    Every axis of every array in the jaxpr has a label per position. Elementwise operations and products equate
    labels; transposes, slices, concatenations and splits move them. After a reshape that merges axes, a position is
    kept only if both of its factors are kept,

    .. math:: keep_{(h, d)} = keep_h \\wedge keep_d

    so heads, the queries of a head and the channels within heads form separate groups. Calls, loops, branches and
    custom derivatives are traced through. A group is frozen if its axis reaches data, a result, a maximum, an unknown
    operation, or a sum in which masked units are not zero. Positions that the given arguments do not read, such as
    those after a slice up to the length of the input, are frozen too, since other arguments may read them.

    Args:
        fn: Any JAX function whose first argument is the tree of weights, statistics of BatchNorm included.

    Returns:
        Function of the same arguments (arrays may be abstract) that only traces and returns a `Group` per set of
            units.

    Raises:
        ValueError: When called, if the first argument holds nodes.

    Example:
        >>> import jax
        >>> p = {"a": np.ones((2, 8)), "b": np.ones((8, 3))}
        >>> found = couplings(lambda p, x: jax.nn.relu(x @ p["a"]) @ p["b"])(p, np.ones((1, 2)))
        >>> [(m.path, m.axis) for g in found if not g.frozen for m in g.members]
        [('a', 1), ('b', 0)]

    Source: Fang et al., DepGraph, 2023, arXiv:2301.12900, which solves the same problem for PyTorch graphs.
    """

    def coupled(*args: Any, **kwargs: Any) -> list[Group]:
        return [group for group, _ in groups_of(label_function(fn, args, kwargs)).values()]

    return coupled
