"""Factorization of reshapes into groups of axes that merge or split."""

import math
from collections.abc import Sequence


def factored(old: Sequence[int], new: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Smallest groups of old axes that become groups of new axes under a reshape of the same positive size."""
    groups: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(old) or j < len(new):
        a, b = ([i], []) if i < len(old) else ([], [j])
        i, j = (i + 1, j) if a else (i, j + 1)
        while math.prod(old[k] for k in a) != math.prod(new[k] for k in b):
            if math.prod(old[k] for k in a) < math.prod(new[k] for k in b):
                a.append(i)
                i += 1
            else:
                b.append(j)
                j += 1
        groups.append((a, b))
    return groups
