"""Groups of axes under a reshape."""

import pytest

from compressjax.numerics._factored import factored


@pytest.mark.parametrize(
    ("old", "new", "groups"),
    [
        ((6, 8), (6, 2, 4), [([0], [0]), ([1], [1, 2])]),
        ((2, 3, 4), (6, 4), [([0, 1], [0]), ([2], [1])]),
        ((6, 4), (1, 6, 4), [([0], [0, 1]), ([1], [2])]),
        ((4, 6), (6, 4), [([0, 1], [0, 1])]),
        ((), (1, 1), [([], [0]), ([], [1])]),
    ],
)
def test_groups_by_hand(old: tuple[int, ...], new: tuple[int, ...], groups: list[tuple[list[int], list[int]]]) -> None:
    assert factored(old, new) == groups
