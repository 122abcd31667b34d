"""The dynamic programs against all cuts."""

import itertools

import numpy as np
import pytest

from compressjax.structure._cuts import balanced_cuts


def best(costs, traffic, count, slack):
    """The best key of all cuts, by trying them: largest cost within the slack, then largest and total traffic."""
    n = len(costs)
    every = list(itertools.combinations(range(1, n), count - 1))

    def bottleneck(ends):
        return max(sum(costs[a:b]) for a, b in itertools.pairwise([0, *ends, n]))

    bound = min(map(bottleneck, every)) * (1 + slack)
    return min(key(traffic, ends) for ends in every if bottleneck(ends) <= bound * (1 + 1e-9)), bound


def key(traffic, ends):
    sent = [traffic[end - 1] for end in ends]
    return max(sent), sum(sent)


@pytest.mark.parametrize("slack", [0.0, 0.3])
def test_no_cut_is_better(draw, slack):
    for count in (2, 3, 4):
        for _ in range(8):
            costs, traffic = draw.integers(0, 9, 9).tolist(), draw.integers(1, 6, 9).tolist()
            ends = balanced_cuts(costs, traffic, count, slack)
            found, bound = best(costs, traffic, count, slack)
            assert len(ends) == count - 1
            assert ends == sorted(set(ends))
            assert key(traffic, ends) == found
            assert max(sum(costs[a:b]) for a, b in itertools.pairwise([0, *ends, 9])) <= bound + 1e-9


def test_one_stage_has_no_cut_and_items_may_be_free():
    assert balanced_cuts([1, 2, 3], [1, 1, 1], 1, 0.0) == []
    assert balanced_cuts(np.zeros(4), [3, 1, 2, 0], 2, 0.0) == [2]
