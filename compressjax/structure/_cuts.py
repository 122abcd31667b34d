"""Where to cut a line into stages: exact dynamic programs over all cuts."""

from collections.abc import Callable, Sequence

import numpy as np


def balanced_cuts(costs: Sequence[float], traffic: Sequence[float], count: int, slack: float) -> list[int]:
    """Ends of all stages but the last: within `slack` of the least bottleneck, those with least traffic.

    The largest message counts first, then the sum of all.

    `traffic[i]` is what crosses a cut behind item `i`.
    """
    total = np.concatenate([[0.0], np.cumsum(np.asarray(costs, np.float64))])
    # Behind the last item nothing is sent.
    crossing = np.concatenate([[0.0], np.asarray(traffic, np.float64)[: len(total) - 2], [0.0]])

    def spans(end: int) -> np.ndarray:
        return total[end] - total[:end]

    bottleneck, _ = _search(len(costs), count, spans, np.maximum)
    bound = bottleneck * (1 + slack) * (1 + 1e-12)

    def sent(most: float) -> Callable[[int], np.ndarray]:
        return lambda end: np.where((spans(end) <= bound) & (crossing[end] <= most), crossing[end], np.inf)

    largest, _ = _search(len(costs), count, sent(np.inf), np.maximum)
    return _search(len(costs), count, sent(largest), np.add)[1]


def _search(
    items: int, count: int, weights: Callable[[int], np.ndarray], join: Callable[..., np.ndarray]
) -> tuple[float, list[int]]:
    """The least joined weight of `count` stages that cover all items, and the ends of all but the last.

    `weights(end)` are those of the stages that begin at 0, 1, ... and stop before `end`.
    """
    best, back = np.full(items + 1, np.inf), []
    best[0] = 0.0
    for _ in range(count):
        after, begins = np.full(items + 1, np.inf), np.zeros(items + 1, int)
        for end in range(1, items + 1):
            joined = join(best[:end], weights(end))
            begins[end] = joined.argmin()
            after[end] = joined[begins[end]]
        best = after
        back.append(begins)
    ends = [items]
    for begins in back[:0:-1]:
        ends.append(int(begins[ends[-1]]))
    return float(best[items]), ends[:0:-1]
