"""Label rules of calls and control flow: the labels of the operands propagate through the bodies."""

from collections.abc import Callable, Sequence
from typing import Any

from compressjax.interpret.coupling._labels import LabeledTrace, Labels, Place, Rule, unknown
from compressjax.interpret.jaxpr._loops import scan_counts
from compressjax.interpret.jaxpr._walk import PLAIN_CALLS, body_of

LOOP_AXIS = "the axis of a loop; structure.drop_layers cuts whole layers"


def _call(labeled: LabeledTrace, eqn: Any, inputs: Sequence[Labels], place: Place) -> list[Labels]:
    jaxpr, consts = body_of(eqn)
    return labeled.walk(jaxpr, consts, inputs, (*place, 0))


def _carried(
    labeled: LabeledTrace, start: Sequence[Labels], body: Callable[[list[Labels]], list[Labels]]
) -> list[Labels]:
    """Results of a loop body: couples its inputs with its outputs, and repeats until the zero flags agree."""
    carry = [Labels(x.axes, tuple(x.vanishes(a) for a in range(len(x.axes)))) for x in start]
    while True:
        out = body(carry)
        for x, y in zip(carry, out):  # a body may have more results than carried values
            labeled.align(x, y)
        new = [x._replace(zero=tuple(z and y.vanishes(a) for a, z in enumerate(x.zero))) for x, y in zip(carry, out)]
        if [x.zero for x in new] == [x.zero for x in carry]:
            return [*carry, *out[len(carry) :]]
        carry = new


def _scan(labeled: LabeledTrace, eqn: Any, inputs: Sequence[Labels], place: Place) -> list[Labels]:
    p = eqn.params
    fixed, carried = scan_counts(p, len(inputs))
    consts, start, stacks = inputs[:fixed], inputs[fixed : fixed + carried], inputs[fixed + carried :]
    loop = labeled.atoms.fresh(p["length"])
    labeled.loops.append(loop)  # frozen last, so that more specific reasons come first
    for x in stacks:
        labeled.atoms.unify(loop, x.axes[0])
    rows = [Labels(x.axes[1:], tuple(x.vanishes(a) for a in range(1, len(x.axes))), x.value) for x in stacks]

    def body(carry: list[Labels]) -> list[Labels]:
        return labeled.walk(p["jaxpr"].jaxpr, p["jaxpr"].consts, [*consts, *carry, *rows], (*place, 0))

    out = _carried(labeled, start, body)
    ys = [Labels((loop, *y.axes), (False, *y.zero), y.value) for y in out[carried:]]
    return [*out[:carried], *ys]


def _while(labeled: LabeledTrace, eqn: Any, inputs: Sequence[Labels], place: Place) -> list[Labels]:
    p = eqn.params
    tests, steps = p["cond_nconsts"], p["body_nconsts"]
    test_consts, step_consts, start = inputs[:tests], inputs[tests : tests + steps], inputs[tests + steps :]

    def body(carry: list[Labels]) -> list[Labels]:
        return labeled.walk(p["body_jaxpr"].jaxpr, p["body_jaxpr"].consts, [*step_consts, *carry], (*place, 1))

    out = _carried(labeled, start, body)
    labeled.walk(p["cond_jaxpr"].jaxpr, p["cond_jaxpr"].consts, [*test_consts, *out], (*place, 0))
    return out


def _cond(labeled: LabeledTrace, eqn: Any, inputs: Sequence[Labels], place: Place) -> list[Labels]:
    if eqn.params.get("branches_platforms") is not None:
        return unknown(labeled, eqn, inputs, place)  # the compiler needs these branches unchanged
    results = [
        labeled.walk(closed.jaxpr, closed.consts, inputs[1:], (*place, number))
        for number, closed in enumerate(eqn.params["branches"])
    ]
    merged = []
    for outs in zip(*results, strict=True):
        for other in outs[1:]:
            labeled.align(outs[0], other)
        zero = tuple(all(x.vanishes(a) for x in outs) for a in range(len(outs[0].axes)))
        merged.append(Labels(outs[0].axes, zero))
    return merged


FLOW: dict[str, Rule] = {
    **dict.fromkeys(PLAIN_CALLS, _call),
    "scan": _scan,
    "while": _while,
    "cond": _cond,
}
