"""Corrections of single tokens: what is kept, and that nothing is lost on the way to arrays and back."""

import numpy as np
import pytest

from compressjax.distill.store import _positions


def distributions(n, vocabulary, spread, seed=0):
    logits = spread * np.random.default_rng(seed).normal(size=(n, vocabulary))
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def test_arrays_hold_all_corrections_and_little_more():
    log_p = distributions(40, 3000, 3.0)
    mean = np.log(np.exp(log_p).mean(0))
    rank = np.argsort(np.argsort(-mean)).astype(np.int32)
    background = np.broadcast_to(mean, log_p.shape)
    found = _positions.correct(log_p, background, rank, step=0.25, cut=1e-3, top=64)
    assert 10 < found.counts.mean() <= 64
    arrays = _positions.packed(found, rank)
    back = _positions.unpacked(arrays, np.argsort(rank), len(log_p))
    for a, b in zip(found, back, strict=True):
        np.testing.assert_array_equal(a, b)
    assert sum(x.nbytes for x in arrays.values()) < 4 * found.counts.sum() + 8 * len(log_p)


def test_what_is_left_out_is_small_and_sums_are_right():
    log_p = distributions(20, 500, 2.0)
    background = np.full(log_p.shape, -np.log(500))
    rank = np.arange(500, dtype=np.int32)
    fine = _positions.correct(log_p, background, rank, step=0.01, cut=1e-7, top=500)
    log_q = _positions.corrected(background, fine, 0.01)
    np.testing.assert_allclose(np.exp(log_q).sum(1), 1, rtol=1e-9)
    assert np.abs(log_p - log_q).max() < 0.06
    # Rounding alone costs step ** 2 / 24 on average.
    for step in (0.2, 0.4):
        found = _positions.correct(log_p, background, rank, step=step, cut=1e-9, top=500)
        log_q = _positions.corrected(background, found, step)
        assert (np.exp(log_p) * (log_p - log_q)).sum(1).mean() == pytest.approx(step**2 / 24, rel=0.2)
    none = _positions.correct(log_p, background, rank, step=0.2, cut=1e-9, top=0)
    assert none.counts.sum() == 0
    np.testing.assert_allclose(_positions.corrected(background, none, 0.2), background)


def test_the_most_important_tokens_stay_under_a_limit():
    p = np.array([[0.5, 0.3, 0.1, 0.05, 0.03, 0.02]])
    background = np.log(np.array([[0.5, 0.1, 0.1, 0.1, 0.1, 0.1]]))
    found = _positions.correct(np.log(p), background, np.arange(6), step=0.1, cut=1e-9, top=1)
    assert found.tokens.tolist() == [1]


def test_damage_is_named():
    log_p = distributions(5, 50, 2.0)
    rank = np.arange(50)
    found = _positions.correct(log_p, np.full(log_p.shape, -np.log(50)), rank, step=0.2, cut=1e-3, top=9)
    arrays = _positions.packed(found, rank)
    name = max((key for key in arrays if key.startswith("sizes/")), key=lambda key: arrays[key].size)
    bits = next(key for key in arrays if key.startswith("bits/"))
    moved = {name: arrays[name][:-1], "sizes/40": arrays[name][-1:]}  # as many numbers, in the wrong place
    for change, match in (
        ({name: arrays[name][:-1]}, r"sizes/\* hold"), (moved, f"'{name}' is too short"),
        ({name: arrays[name].reshape(1, -1)}, f"'{name}' is .* not integers of one axis"),
        ({name: -1 - arrays[name]}, f"'{name}' has numbers outside of 0 to 6"),
        ({name: arrays[name] + 60}, f"'{name}' has numbers"),
        ({bits: -1 - arrays[bits]}, f"'{bits}' has numbers outside of 0 to"),
        ({bits: np.append(arrays[bits], arrays[bits][:1])}, f"'{bits}' is too long"),
        ({"counts": -found.counts}, "'counts' has numbers outside of 0 to 50"),
        ({"counts": found.counts[:4]}, r"'counts' is int32\[4\], not integers \[5\]"),
        ({"counts": 1 << 40 | found.counts.astype(np.int64)}, "'counts' has numbers"),
        ({"factors": found.factors.astype(float)}, "'factors' is float64"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=match):
            _positions.unpacked({**arrays, **change}, np.argsort(rank), 5)
    with pytest.raises(ValueError, match="a token has the rank .*, and the vocabulary ends at 30"):
        _positions.unpacked(arrays, np.argsort(rank)[:31], 5)
    with pytest.raises(ValueError, match="'counts' is missing"):
        _positions.unpacked({}, np.argsort(rank), 5)
