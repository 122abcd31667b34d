"""Label rules of elementwise operations: they couple aligned axes, and some of them preserve zeros."""

from collections.abc import Callable, Sequence
from typing import Any

from compressjax.interpret.coupling._labels import LabeledTrace, Labels, Place, Rule, unknown

# Functions with f(0) = 0, and operations that pass entries on.
_KEEP_ZERO = str.split(
    "abs asin asinh atan atanh cbrt ceil conj convert_element_type copy copy_p erf erf_inv expm1 floor imag log1p "
    "name neg optimization_barrier pcast pvary real reduce_precision round sharding_constraint sign sin sinh sqrt "
    "square stop_gradient tan tanh"
)
_LOSE_ZERO = str.split(
    "acos acosh bessel_i0e bessel_i1e bitcast_convert_type clz cos cosh digamma erfc exp exp2 is_finite lgamma log "
    "logistic not population_count rsqrt eq ge gt le lt ne eq_to le_to lt_to igamma igammac nextafter polygamma "
    "shift_left shift_right_arithmetic shift_right_logical"
)
_SUMS = ("add", "add_any", "sub", "or", "xor", "atan2", "complex")
_HAND_ON = ("convert_element_type", "copy", "copy_p", "name", "pvary", "pcast", "stop_gradient", "reduce_precision")

Flag = tuple[bool, float | None]  # whether an operand is zero at removed positions, and its value if known


def vanishing(name: str, params: dict[str, Any], flags: Sequence[Flag]) -> bool:
    """Whether the result of an elementwise operation is certainly zero."""
    zeros = [zero for zero, _ in flags]
    simple: dict[str, Callable[[], bool]] = {
        "mul": lambda: any(zeros),
        "and": lambda: any(zeros),
        "select_n": lambda: all(zeros[1:]),
        "div": lambda: zeros[0] and not zeros[1],
        "rem": lambda: zeros[0] and not zeros[1],
        "max": lambda: all(zero or (value is not None and value <= 0) for zero, value in flags) and any(zeros),
        "min": lambda: all(zero or (value is not None and value >= 0) for zero, value in flags) and any(zeros),
        "integer_pow": lambda: zeros[0] and params["y"] > 0,
        "pow": lambda: zeros[0] and (flags[1][1] or 0) > 0,
        "clamp": lambda: zeros[1] and _around_zero(flags[0][1], flags[2][1]),
    }
    if name in simple:
        return simple[name]()
    return all(zeros) if name in _SUMS or name in _KEEP_ZERO else False


def _around_zero(low: float | None, high: float | None) -> bool:
    return low is not None and high is not None and low <= 0 <= high


def entrywise(labeled: LabeledTrace, eqn: Any, inputs: Sequence[Labels], place: Place) -> list[Labels]:
    """Couples the axes of all operands, except scalars and axes of length 1, which broadcast."""
    shape = eqn.outvars[0].aval.shape
    if any(x.axes and len(x.axes) != len(shape) for x in inputs):
        return unknown(labeled, eqn, inputs, place)  # a bit cast that changes the number of axes
    axes, zero = [], []
    for axis, n in enumerate(shape):
        aligned = [len(x.axes) == len(shape) and len(x.axes[axis]) == n for x in inputs]
        vectors = [x.axes[axis] for x, a in zip(inputs, aligned, strict=True) if a]
        for vector in vectors[1:]:
            labeled.atoms.unify(vectors[0], vector)
        axes.append(vectors[0])
        flags = [(x.vanishes(axis) if a else x.value == 0, x.value) for x, a in zip(inputs, aligned, strict=True)]
        zero.append(vanishing(eqn.primitive.name, eqn.params, flags))
    value = inputs[0].value if eqn.primitive.name in _HAND_ON else None
    return [Labels(tuple(axes), tuple(zero), value)]


def _barrier(labeled: LabeledTrace, eqn: Any, inputs: Sequence[Labels], place: Place) -> list[Labels]:
    del labeled, eqn, place
    return list(inputs)


def _source(labeled: LabeledTrace, eqn: Any, inputs: Sequence[Labels], place: Place) -> list[Labels]:
    """Counters and random numbers: they are generated at full size, then sliced."""
    del place
    labeled.freeze(inputs, f"{eqn.primitive.name} generates numbers for the whole axis")
    return [labeled.new(var.aval.shape) for var in eqn.outvars]


SOURCES = ("iota", "random_bits", "random_seed", "random_wrap", "random_unwrap", "random_fold_in", "random_split",
           "random_clone", "threefry2x32", "rng_uniform", "rng_bit_generator")  # fmt: skip

_ENTRYWISE = (*_KEEP_ZERO, *_LOSE_ZERO, *_SUMS, "mul", "and", "select_n", "div", "rem", "max", "min", "integer_pow",
              "pow", "clamp")  # fmt: skip

ENTRIES: dict[str, Rule] = {
    **dict.fromkeys(_ENTRYWISE, entrywise),
    **dict.fromkeys(SOURCES, _source),
    "optimization_barrier": _barrier,
}
