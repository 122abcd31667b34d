"""What stays from round to round: memories of clients that take part, and what clients have of the server's model."""

import numpy as np

from compressjax.federated import fed_avg, federation
from compressjax.gradients import top_k
from tests.federated.quadratics import CLIENTS, RATE, SHAPE, loss, play, slope

CHOSEN = np.array([[0, 1, 2, 3], [2, 4, 6, 7], [1, 2, 5, 7]])


def largest(x, k):
    """The `k` entries of largest magnitude, in NumPy."""
    out = np.zeros_like(x)
    best = np.argsort(-np.abs(x).ravel(), kind="stable")[:k]
    out.ravel()[best] = x.ravel()[best]
    return out


def test_short_messages_both_ways_are_those_of_a_loop():
    fed = federation(loss, fed_avg(RATE), CLIENTS, up=top_k(0.3), down=top_k(0.5))
    states, _ = play(fed, chosen=CHOSEN)
    x, seen, memory = np.zeros(SHAPE), np.zeros(SHAPE), np.zeros((CLIENTS, *SHAPE))
    for n, some in enumerate(CHOSEN):
        y = np.broadcast_to(seen, (4, *SHAPE))
        for _ in range(3):
            y = y - RATE * slope(y, some)
        meant = y - seen + memory[some]
        said = np.stack([largest(one, 2) for one in meant])
        memory[some] = meant - said
        x = x + said.mean(0)
        seen = seen + largest(x - seen, 3)
        np.testing.assert_allclose(states.params["kernel"][n], x, atol=1e-6)
        np.testing.assert_allclose(states.seen["kernel"][n], seen, atol=1e-6)
        np.testing.assert_allclose(states.clients.tree["sent"]["kernel"]["memory"][n], memory, atol=1e-6)


def test_without_feedback_nothing_is_kept():
    fed = federation(loss, fed_avg(RATE), CLIENTS, up=top_k(0.3), feedback=False)
    states, _ = play(fed, 1, chosen=CHOSEN[:1])
    assert states.clients.tree["sent"]["kernel"] == {"codec": ()}
    assert np.count_nonzero(states.params["kernel"][0]) <= 4 * 2
