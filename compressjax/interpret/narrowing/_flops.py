"""FLOPs of a function before and after pruning, counted on the labeled jaxpr without compilation."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from compressjax.interpret.coupling._couplings import label_function
from compressjax.interpret.coupling._label_entries import ENTRIES, SOURCES
from compressjax.interpret.coupling._labels import Labels, Place
from compressjax.interpret.jaxpr._shapes import shapes
from compressjax.interpret.jaxpr._walk import PLAIN_CALLS, body_of, needed
from compressjax.interpret.narrowing._narrow import Cutter, gone_atoms

# XLA counts transcendental functions separately, and data movement and type conversions as zero.
_FREE = frozenset(
    (*SOURCES, "exp", "exp2", "expm1", "log", "log1p", "logistic", "sin", "cos", "tan", "tanh", "pow", "sqrt", "rsqrt",
     "cbrt", "atan2", "erf", "erfc", "erf_inv", "copy", "copy_p", "name", "optimization_barrier", "stop_gradient",
     "pvary", "pcast", "sharding_constraint", "bitcast_convert_type")
)  # fmt: skip
_REDUCTIONS = ("reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or", "argmax", "argmin")


def _valid(size: int, out: int, window: int, stride: int, low: int, grow: int, dilation: int) -> int:
    """Number of pairs of an output position and a window position that read an entry instead of padding."""
    count = 0
    for o in range(out):
        for k in range(window):
            at = o * stride - low + k * dilation
            count += at % grow == 0 and 0 <= at // grow < size
    return count


def _conv(eqn: Any, ins: Sequence[tuple[int, ...]], outs: Sequence[tuple[int, ...]]) -> int:
    p, (x, kernel), out = eqn.params, ins, outs[0]
    numbers = p["dimension_numbers"]
    total = 2 * out[numbers.out_spec[0]] * out[numbers.out_spec[1]] * kernel[numbers.rhs_spec[1]]
    for i, axis in enumerate(numbers.lhs_spec[2:]):
        total *= _valid(
            x[axis], out[numbers.out_spec[2 + i]], kernel[numbers.rhs_spec[2 + i]], p["window_strides"][i],
            p["padding"][i][0], p["lhs_dilation"][i], p["rhs_dilation"][i],
        )  # fmt: skip
    return total


def _equation(eqn: Any, ins: Sequence[tuple[int, ...]], outs: Sequence[tuple[int, ...]]) -> int:
    name = eqn.primitive.name
    if name == "dot_general":
        (summed, _), _ = eqn.params["dimension_numbers"]
        return 2 * math.prod(outs[0]) * math.prod(ins[0][a] for a in summed)
    if name == "ragged_dot_general":  # every row meets one expert
        (summed, _), _ = eqn.params["ragged_dot_dimension_numbers"].dot_dimension_numbers
        return 2 * math.prod(outs[0]) * math.prod(ins[0][a] for a in summed)
    if name == "conv_general_dilated":
        return _conv(eqn, ins, outs)
    if name.startswith("reduce_window"):
        return math.prod(outs[0]) * math.prod(eqn.params["window_dimensions"])
    if name in _REDUCTIONS or name.startswith("cum"):
        return math.prod(ins[0])
    return math.prod(outs[0]) if name in ENTRIES and name not in _FREE else 0


def _total(cutter: Cutter, jaxpr: Any, place: Place, loops: bool) -> int:
    def sizes(labels: Sequence[Labels]) -> list[tuple[int, ...]]:
        return [cutter.shape(x) for x in labels]

    total = 0
    for number, eqn in needed(jaxpr):
        name, here = eqn.primitive.name, (*place, number)
        if name in PLAIN_CALLS:
            total += _total(cutter, body_of(eqn)[0], (*here, 0), loops)
        elif name == "scan":
            turns = eqn.params["length"] if loops else 1
            total += turns * _total(cutter, eqn.params["jaxpr"].jaxpr, (*here, 0), loops)
        elif name == "while":
            total += _total(cutter, eqn.params["body_jaxpr"].jaxpr, (*here, 1), loops)
        elif name == "cond":
            branches = enumerate(eqn.params["branches"])
            total += max(_total(cutter, closed.jaxpr, (*here, i), loops) for i, closed in branches)
        else:
            ins, outs = cutter.labeled.records[here]
            total += _equation(eqn, sizes(ins), sizes(outs))
    return total


def equation_flops(eqn: Any) -> int:
    """Operations of one equation of a jaxpr at its own sizes, bodies of calls and loops included."""
    name = eqn.primitive.name
    if name in PLAIN_CALLS:
        return sum(map(equation_flops, body_of(eqn)[0].eqns))
    if name == "scan":
        return eqn.params["length"] * sum(map(equation_flops, eqn.params["jaxpr"].jaxpr.eqns))
    if name == "while":
        return sum(map(equation_flops, eqn.params["body_jaxpr"].jaxpr.eqns))
    if name == "cond":
        return max(sum(map(equation_flops, closed.jaxpr.eqns)) for closed in eqn.params["branches"])
    return _equation(eqn, [getattr(x.aval, "shape", ()) for x in eqn.invars], [x.aval.shape for x in eqn.outvars])


def predict_flops(
    fn: Callable[..., Any], like: Any, kept: Mapping[str, Sequence[int]] | None = None, *, loops: bool = True
) -> Callable[..., int]:
    """Predicts the FLOPs of one call of `narrow(fn, like, kept)` without compilation.

    Products count `2 m k n`, those of sorted rows with experts one expert for each row; convolutions count only window
    positions inside the image; elementwise operations and reductions count 1 per entry. Transcendental functions and
    data movement count 0, as in XLA's analysis.

    Args:
        fn: Any JAX function whose first argument is the tree of weights.
        like: The full tree of weights, or its shapes.
        kept: Units to keep, by the name of their group in `couplings(fn)`; None keeps all.
        loops: False counts the body of a `scan` once, as XLA's analysis does. The body of a `while` always counts once.

    Returns:
        Function of `fn`'s other arguments (arrays may be abstract) that returns the number of operations.

    Raises:
        ValueError: When called, if `kept` does not fit the groups.

    Example:
        >>> import numpy as np
        >>> predict_flops(lambda p, x: x @ p, np.ones((8, 16)))(np.ones((4, 8)))
        1024
    """
    wide = shapes(like)

    def counted(*args: Any, **kwargs: Any) -> int:
        found = label_function(fn, (wide, *args), kwargs)
        cutter = Cutter(found.labeled, gone_atoms(found, kept or {}))
        return _total(cutter, found.program.closed.jaxpr, (), loops)

    return counted
