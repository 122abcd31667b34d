"""The activations of all batches at one cut of their lines, kept on the host."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.calibration._segment import Programs, needed, segment
from compressjax.calibration._survey import Survey, Traced
from compressjax.core._digest import digest_of
from compressjax.interpret.jaxpr._line import Line, inputs_of
from compressjax.interpret.jaxpr._records import Records


class Activations:
    """Where calibration stands: what every batch has become just before the equation at which a step begins."""

    def __init__(self, survey: Survey, batches: Iterable[Any], paths: Iterable[str]) -> None:
        self._lines, self._kinds, self._batches = survey.lines, survey.kinds, batches
        self._digests = survey.digests
        self._programs = Programs()
        self._ends = [used_by(traced, paths) for traced in survey.lines]
        self._cuts = [0] * len(survey.lines)
        self._live: list[dict[int, Any]] | None = None  # None: the arguments themselves

    def advance(self, leaves: Mapping[str, Any], paths: Sequence[str]) -> None:
        """Moves to the first equation that reads one of the paths; back to the start first if it lies behind."""
        cuts = [cut_of(traced, paths, old) for traced, old in zip(self._lines, self._cuts, strict=True)]
        if any(new < old for new, old in zip(cuts, self._cuts, strict=True)):
            self._live, self._cuts = None, [0] * len(cuts)
        if cuts == self._cuts:
            return
        programs: dict[int, Any] = {}
        moved = []
        for kind, values in self._take():
            line, cut = self._lines[kind].line, cuts[kind]
            if kind not in programs:
                live = live_at(line, self._ends[kind], cut)
                made = [n for n in live if line.maker.get(n, -1) >= self._cuts[kind]]
                part = segment(line, needed(line, made, self._cuts[kind]), made)
                programs[kind] = live, self._programs.run(line, part, leaves, values)
            live, program = programs[kind]
            fresh = program(values)
            moved.append({n: _host(fresh[n]) if n in fresh else values[n] for n in live})
        self._live, self._cuts = moved, cuts

    def observe(self, leaves: Mapping[str, Any], path: str) -> Records:
        """Records of the inputs of one leaf, over all batches."""
        total: Records = {}
        for traced in self._lines:
            total |= traced.products.records.get(path, {})
        total = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), total)
        programs: dict[int, Any] = {}
        for kind, values in self._read():
            line, places = self._lines[kind].line, self._lines[kind].products.places.get(path)
            if places is None:
                continue
            if kind not in programs:
                reads = [n for at in places for n in line.equations[at].numbers]
                part = segment(line, needed(line, reads, self._cuts[kind]) | set(places))
                programs[kind] = self._programs.watch(line, part, leaves, values, path, total)
            total = programs[kind](values, total)
        return jax.block_until_ready(total)

    def _read(self) -> Iterator[tuple[int, dict[int, Any]]]:
        if self._live is not None:
            yield from zip(self._kinds, self._live, strict=True)
            return
        count = 0
        for count, args in enumerate(self._batches, 1):
            if count > len(self._kinds):
                break
            if digest_of(args) != self._digests[count - 1]:
                raise ValueError(
                    f"calibrate: batch {count - 1} of a later reading is not that of the first one; give the same "
                    "batches in the same order whenever they are read, without shuffling or random augmentation"
                )
            kind = self._kinds[count - 1]
            yield kind, dict(zip(self._lines[kind].line.inputs, inputs_of(args), strict=True))
        if count != len(self._kinds):
            later = "more" if count > len(self._kinds) else count
            raise ValueError(f"calibrate: batches gave {len(self._kinds)} batches at first and {later} later; give an "
                             "object whose __iter__ starts again")  # fmt: skip

    def _take(self) -> Iterator[tuple[int, dict[int, Any]]]:
        """As `_read`, without keeping what was read."""
        if self._live is None:
            yield from self._read()
            return
        held, self._live = self._live[::-1], []
        for kind in self._kinds:
            yield kind, held.pop()


def live_at(line: Line, used: set[int], cut: int) -> list[int]:
    """The values on data from before a cut that equations after it read."""
    read = {n for at in used if at >= cut for n in line.equations[at].numbers if n in line.data}
    return sorted(n for n in read if line.maker.get(n, -1) < cut)


def held_at(line: Line, used: set[int], cut: int) -> int:
    """Bytes of one batch at a cut, without what it was before."""
    made = [n for n in live_at(line, used, cut) if n in line.maker]
    return sum(map(_bytes, (line.equations[line.maker[n]].typed(n) for n in made)))


def _bytes(aval: Any) -> int:
    return int(math.prod(aval.shape) * getattr(aval.dtype, "itemsize", 8))


def used_by(traced: Traced, paths: Iterable[str]) -> set[int]:
    """The equations on which products of some paths depend."""
    line = traced.line
    places = {at for path in paths for at in traced.products.places.get(path, ())}
    return places | needed(line, [n for at in places for n in line.equations[at].numbers])


def cut_of(traced: Traced, paths: Sequence[str], old: int) -> int:
    """The first equation that reads one of the paths with data."""
    found = [traced.products.first[path] for path in paths if path in traced.products.first]
    return min(found, default=old)


def _host(x: Any) -> Any:
    """An array on the host; random keys stay as they are."""
    return x if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else np.asarray(x)
