"""Atoms: the smallest units that pruning can remove, and which of them must be removed together."""

from collections.abc import Sequence
from typing import Any

import numpy as np

Vector = np.ndarray  # an atom per position of an axis

CROSSED = "two reshapes split the same axis in incompatible ways"

COPIES = "entries along this axis are copies of one entry, which other operations treat differently"


class Atoms:
    """A union-find over positions of axes, in which a position may also be a product of several atoms.

    An axis of length n is a vector of n atoms. Aligned axes unify position by position. After a reshape from `[h, d]`,
    position `(i, j)` is the product of atoms `h_i` and `d_j`: it is removed if either is removed. A void atom is never
    removed and stores the reason.
    """

    def __init__(self) -> None:
        self._parent: list[int] = []
        self._family: list[int] = []
        self._parts: dict[int, tuple[int, ...]] = {}  # of a root that is a product
        self._made: dict[tuple[int, int], int] = {}
        self._void: set[int] = set()
        self._reasons: dict[int, str] = {}
        self._notes: dict[int, str] = {}

    def fresh(self, n: int) -> Vector:
        """New atoms of one family: positions of one axis, each of which can be removed alone."""
        start = len(self._parent)
        self._parent.extend(range(start, start + n))
        self._family.extend([start] * n)
        return np.arange(start, start + n)

    def void(self, reason: str, n: int) -> Vector:
        """An axis of n positions that are always kept, for the given reason."""
        atom = self.fresh(1)[0]
        self._void.add(int(atom))
        self._reasons[int(atom)] = reason
        return np.full(n, atom)

    def find(self, atom: int) -> int:
        """Representative of an atom."""
        atom, parent = int(atom), self._parent
        while parent[atom] != atom:
            parent[atom] = parent[parent[atom]]
            atom = parent[atom]
        return atom

    def resolve(self, atom: int) -> tuple[int, ...]:
        """Atoms whose removal removes this position; empty for a void atom."""
        root = self.find(atom)
        if root in self._void:
            return ()
        if root not in self._parts:
            return (root,)
        return tuple(dict.fromkeys(x for part in self._parts[root] for x in self.resolve(part)))

    def family(self, atom: int) -> int:
        """Identifier that the atoms of aligned axes share."""
        root = self.find(atom)
        while self._family[root] != root:
            root = self._family[root]
        return root

    def reason(self, atom: int) -> str | None:
        """Why an atom cannot be removed; None if it can."""
        return self._reasons.get(self.find(atom))

    def note(self, atom: int) -> str | None:
        """What a user must know before removing an atom; None if nothing."""
        return self._notes.get(self.find(atom))

    def stays(self, vector: Vector) -> bool:
        """Whether all positions of an axis are void, so that none can ever be removed."""
        return all(self.find(a) in self._void for a in np.unique(vector))

    def freeze(self, vector: Vector, reason: str) -> None:
        """Forbids the removal of these positions; an atom keeps its first reason."""
        for atom in np.unique(vector):
            for root in self.resolve(atom):
                self._reasons.setdefault(root, reason)

    def remark(self, vector: Vector, note: str) -> None:
        """Adds a note to these positions; an atom keeps its first note."""
        for atom in np.unique(vector):
            for root in self.resolve(atom):
                self._notes.setdefault(root, note)

    def unify(self, a: Vector, b: Vector) -> None:
        """Couples two aligned axes of the same length."""
        if not np.array_equal(a, b):
            for x, y in dict.fromkeys(zip(a.tolist(), b.tolist(), strict=True)):
                self._unify(x, y)

    def _unify(self, a: int, b: int) -> None:
        a, b = self.find(a), self.find(b)
        if a == b:
            return
        if a in self._void or b in self._void:
            kept, other = (a, b) if a in self._void else (b, a)
            self.freeze(np.array([other]), self._reasons[kept])
            return
        s, t = self.resolve(a), self.resolve(b)
        only_s, only_t = [x for x in s if x not in t], [x for x in t if x not in s]
        if len(s) == 1 and len(t) > 1 and only_s:
            self._bind(s[0], t)
        elif len(t) == 1 and len(s) > 1 and only_t:
            self._bind(t[0], s)
        elif len(only_s) == len(only_t):
            for x, y in zip(only_s, only_t, strict=True):
                self._join(self.find(x), self.find(y))
        elif len(only_s) == 1 and only_t:
            self._bind(only_s[0], tuple(only_t))
        elif len(only_t) == 1 and only_s:
            self._bind(only_t[0], tuple(only_s))
        else:
            self.freeze(np.array([*only_s, *only_t]), CROSSED)

    def _join(self, a: int, b: int) -> None:
        if a == b:
            return
        if b in self._parts or a in self._parts:
            self._unify(a, b)
            return
        a, b = min(a, b), max(a, b)
        self._parent[b] = a
        self._family[max(self.family(a), self._top(b))] = min(self.family(a), self._top(b))
        for table in (self._reasons, self._notes):
            if b in table:
                table.setdefault(a, table.pop(b))

    def _top(self, atom: int) -> int:
        while self._family[atom] != atom:
            atom = self._family[atom]
        return atom

    def _bind(self, root: int, parts: tuple[int, ...]) -> None:
        """Makes a free atom the product of other atoms."""
        self._parts[root] = parts
        if root in self._reasons:
            self.freeze(np.array(parts), self._reasons[root])
        if root in self._notes:
            self.remark(np.array(parts), self._notes[root])

    def _product(self, a: int, b: int) -> int:
        a, b = self.find(a), self.find(b)
        if a in self._void or a == b:
            return b
        if b in self._void:
            return a
        if (a, b) not in self._made:
            self._made[a, b] = int(self.fresh(1)[0])
            self._parts[self._made[a, b]] = (a, b)
        return self._made[a, b]

    def merge(self, vectors: Sequence[Vector]) -> Vector:
        """Merges axes into one, in row-major order."""
        out = vectors[0]
        for vector in vectors[1:]:
            (left, i), (right, j) = (np.unique(v, return_inverse=True) for v in (out, vector))
            table = np.array([[self._product(a, b) for b in right] for a in left], int).reshape(len(left), len(right))
            out = table[np.ix_(i.reshape(-1), j.reshape(-1))].reshape(-1)
        return out

    def split(self, vector: Vector, n: int) -> tuple[Vector, Vector]:
        """Splits an axis into `[n, rest]`, in row-major order."""
        m = len(vector) // n
        if n == 1 or m == 1:
            unit = self.void("an axis of length 1", 1)
            return (unit, vector) if n == 1 else (vector, unit)
        rows = np.array([self.find(a) for a in vector]).reshape(n, m)
        if (rows == rows[:, :1]).all():
            return rows[:, 0], self.void(COPIES, m)
        if (rows == rows[:1]).all():
            return self.void(COPIES, n), rows[0]
        return self._factors(rows) or self._fresh_factors(rows)

    def _factors(self, rows: np.ndarray) -> tuple[Vector, Vector] | None:
        """Factors of a matrix of products, if every entry is a product of a row atom and a column atom."""
        found = [[self.resolve(a) for a in row] for row in rows]
        n, m = rows.shape
        left = [tuple(x for x in found[i][0] if all(x in cell for cell in found[i])) for i in range(n)]
        right = [tuple(x for x in found[0][j] if all(row[j].count(x) for row in found)) for j in range(m)]
        exact = all({*left[i], *right[j]} == set(found[i][j]) for i in range(n) for j in range(m))
        return (self._vector(left), self._vector(right)) if exact else None

    def _vector(self, cells: list[tuple[int, ...]]) -> Vector:
        stay = self.void("an axis that is always kept", 1)[0]
        out: list[Any] = []
        for cell in cells:
            atom = stay
            for part in cell:
                atom = self._product(atom, part)
            out.append(atom)
        return np.array(out, int)

    def _fresh_factors(self, rows: np.ndarray) -> tuple[Vector, Vector]:
        n, m = rows.shape
        left, right = self.fresh(n), self.fresh(m)
        self.unify(rows.reshape(-1), self.merge([left, right]))
        return left, right
