"""Early exits against brute force over thresholds, and the branches that do not run."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import structure

DRAW = np.random.default_rng(0)
LABELS = DRAW.integers(3, size=60)
LOGITS = [DRAW.normal(size=(60, 3)) + depth * np.eye(3)[LABELS] for depth in (1.0, 2.5, 5.0)]


def outcome(thresholds):
    """Accuracy and shares, one input after the other."""
    right, shares = 0, [0] * len(LOGITS)
    for n in range(60):
        for branch, threshold in enumerate(thresholds):
            z = np.exp(LOGITS[branch][n] - LOGITS[branch][n].max())
            if (z / z.sum()).max() >= threshold - 1e-6 or branch == len(LOGITS) - 1:
                right += LOGITS[branch][n].argmax() == LABELS[n]
                shares[branch] += 1
                break
    return right / 60, [s / 60 for s in shares]


@pytest.mark.parametrize("loss", [0.0, 0.05])
def test_what_is_said_is_what_happens(loss):
    found = structure.choose_exits(LOGITS, LABELS, (1.0, 2.0, 4.0), loss=loss)
    accuracy, shares = outcome(found.thresholds)
    assert found.accuracy == pytest.approx(accuracy)
    assert found.shares == pytest.approx(shares)
    assert found.cost == pytest.approx(np.dot(shares, (1, 2, 4)))
    assert accuracy >= (LOGITS[-1].argmax(1) == LABELS).mean() - loss - 1e-9
    assert found.cost < 4


def test_the_first_branch_leaves_as_early_as_it_may():
    found = structure.choose_exits(LOGITS[::2], LABELS, (1.0, 4.0), steps=60)
    sure = np.sort(np.asarray(jax.nn.softmax(LOGITS[0]).max(-1)))
    required = (LOGITS[2].argmax(1) == LABELS).mean()
    first, last = ((z.argmax(1) == LABELS) for z in LOGITS[::2])
    conf = np.asarray(jax.nn.softmax(LOGITS[0]).max(-1))
    lowest = next(t for t in sure if np.where(conf >= t, first, last).mean() >= required - 1e-12)
    assert found.thresholds[0] == pytest.approx(float(lowest), rel=1e-5)


def test_stages_behind_the_exit_do_not_run():
    ran = []

    def stage(number):
        def run(x):
            jax.debug.callback(lambda: ran.append(number))
            return x, x[:, :2]

        return run

    run = jax.jit(lambda x: structure.run_exits([stage(0), stage(1), stage(2)], (0.9, 0.6, 0.0), x))
    for x, number in (([[9.0, 0.0]], 0), ([[1.0, 0.0]], 1), ([[0.1, 0.0]], 2), ([[9.0, 0.0], [0.1, 0.0]], 2)):
        ran.clear()
        logits, taken = jax.block_until_ready(run(jnp.array(x)))
        jax.effects_barrier()
        assert int(taken) == number
        assert sorted(ran) == list(range(number + 1))
        assert logits.shape == (len(x), 2)


def test_loss_against_optax():
    logits = [jnp.asarray(z, jnp.float32) for z in LOGITS]
    got = structure.branch_loss(logits, jnp.asarray(LABELS), (1.0, 0.0, 3.0))
    each = [optax.softmax_cross_entropy_with_integer_labels(z, jnp.asarray(LABELS)).mean() for z in logits]
    assert float(got) == pytest.approx(float((each[0] + 3 * each[2]) / 4), rel=1e-5)


def test_thresholds_on_all_data_are_monotone_in_the_loss():
    costs = [structure.choose_exits(LOGITS, LABELS, (1.0, 2.0, 4.0), loss=loss).cost for loss in (0.0, 0.1, 1.0)]
    assert all(a >= b for a, b in itertools.pairwise(costs))
    assert costs[-1] == 1.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: structure.choose_exits(LOGITS, LABELS, (1.0, 2.0)), "one per branch"),
        (lambda: structure.choose_exits(LOGITS, LABELS, (1.0, 3.0, 2.0)), "ascending"),
        (lambda: structure.branch_loss([jnp.ones((1, 2))], jnp.array([0]), (1.0, 2.0)), "one per branch"),
        (lambda: structure.run_exits([lambda x: (x, x)], (0.5, 0.0), jnp.ones((1, 2))), "one per stage"),
    ],
)
def test_bad_calls_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
