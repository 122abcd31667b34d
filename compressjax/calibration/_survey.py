"""A survey of the batches before anything is computed: the traced lines, a digest, and what is wrong with them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from compressjax.calibration._products import Products, products
from compressjax.calibration._watch import Taken
from compressjax.core import is_node, nodes
from compressjax.core._checks import described
from compressjax.core._digest import digest_of, digest_of_text
from compressjax.interpret.jaxpr._line import Line, inputs_of, line_of
from compressjax.interpret.jaxpr._trace import is_array


class Traced(NamedTuple):
    """A line and its products."""

    line: Line
    products: Products


class Survey(NamedTuple):
    """What the batches are.

    Attributes:
        lines: The traced function for every kind of batch, in the order of the batches.
        kinds: For every batch, the place of its line.
        digests: Of every batch.
    """

    lines: list[Traced]
    kinds: list[int]
    digests: list[str]

    @property
    def digest(self) -> str:
        """Of all batches."""
        return digest_of_text(self.digests)


def survey(fn: Callable[..., Any], params: Any, batches: Iterable[Any], taken: Mapping[str, Taken]) -> Survey:
    """Reads all batches once; raises `ValueError` for batches that cannot be read again, and for NaN and infinity."""
    if isinstance(batches, Iterator) or not isinstance(batches, Iterable):
        raise ValueError(
            f"calibrate: batches is {described(batches)}, which can be read once at most; give a list of tuples of "
            "arguments, or an object whose __iter__ starts again"
        )
    leaves = {path: x for path, x in nodes(params).items() if is_array(x) or is_node(x)}
    known: dict[Any, int] = {}
    lines: list[Traced] = []
    kinds, digests = [], []
    for number, args in enumerate(batches):
        _check(number, args)
        digests.append(digest_of(args))
        kind = _kind(args)
        if kind not in known:
            known[kind] = len(lines)
            line = line_of(fn, params, args)
            lines.append(Traced(line, products(line, leaves, inputs_of(args), taken)))
        kinds.append(known[kind])
    if not kinds:
        raise ValueError("calibrate: there are no batches; give at least one tuple of arguments of the function")
    return Survey(lines, kinds, digests)


def _kind(args: Any) -> Any:
    """Batches of one kind have the same trace."""
    flat, structure = jax.tree.flatten(args)
    return structure, tuple((x.shape, str(x.dtype)) if is_array(x) else x for x in flat)


def _check(number: int, args: Any) -> None:
    if not isinstance(args, tuple):
        raise ValueError(
            f"calibrate: batch {number} is {described(args)}; give a tuple of the arguments after the parameters, (x,)"
        )
    for place, x in enumerate(jax.tree.leaves(args)):
        if not is_array(x) or not jax.numpy.issubdtype(x.dtype, jax.numpy.inexact):
            continue
        host = np.asarray(x)
        if lost := int(np.sum(~np.isfinite(host))):
            raise ValueError(
                f"calibrate: batch {number} has {lost} entries of {host.size} in array {place} that are NaN or "
                "infinite; remove these examples"
            )
