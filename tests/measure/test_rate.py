"""Estimates of training against real files, and contexts against the codec."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import artifact, measure, share, tensors


def drawn(shape, seed=0):
    """Weights whose rows and columns differ in scale, and their codes on a grid."""
    draw = np.random.default_rng(seed)
    scale = np.exp((draw.normal(size=(shape[0], 1)) + draw.normal(size=shape[1])) * 0.8)
    weights = draw.normal(size=shape) * scale
    return weights.astype(np.float32), (np.clip(np.rint(weights * 1.5), -7, 7) + 7).astype(np.uint8)


def test_the_estimate_of_training_is_the_file_within_a_percent(tmp_path):
    tree, estimates = {}, {}
    table = jnp.arange(-7, 8, dtype=jnp.float32) / 1.5
    for name, shape in (("wide", (300, 200)), ("plain", (200, 300))):
        weights, codes = drawn(shape)
        if name == "plain":  # one scale: the codec with a stored table wins
            weights = np.random.default_rng(1).normal(size=shape).astype(np.float32) * 2
            codes = (np.clip(np.rint(weights * 1.5), -7, 7) + 7).astype(np.uint8)
        contexts = jnp.asarray(measure.code_contexts(codes)) if name == "wide" else None
        tree[name] = tensors.Codebook(table, jnp.asarray(codes))
        estimates[name] = share.code_bits(jnp.asarray(weights), table, contexts=contexts)
    manifest = artifact.save(tmp_path / "m.cjx", tree)
    assert [row.codecs[1] for row in manifest.ledger.leaves] == ["ans", "context"]
    rows = measure.rate_gaps(estimates, manifest)
    assert [row.path for row in rows] == ["wide", "plain", "total"]
    assert all(abs(row.gap) < 0.01 for row in rows)
    assert f"({rows[-1].gap:+.2%})" in str(rows[-1])


def test_contexts_are_of_the_scale_of_row_and_column():
    _, codes = drawn((60, 80))
    contexts = measure.code_contexts(codes)
    away = np.abs(codes.astype(int) - np.bincount(codes.ravel()).argmax())
    means = [away[contexts == level].mean() for level in range(16) if (contexts == level).sum() > 50]
    assert len(means) > 4
    assert means == sorted(means)


def test_what_has_no_codes_is_named(tmp_path):
    manifest = artifact.save(tmp_path / "m.cjx", {"bias": jnp.ones(3)})
    with pytest.raises(ValueError, match="no codes at 'bias'"):
        measure.rate_gaps({"bias": 3.0}, manifest)
    with pytest.raises(ValueError, match="at least one estimate"):
        measure.rate_gaps({}, manifest)
    with pytest.raises(ValueError, match="at least two axes"):
        measure.code_contexts(np.zeros(5, np.uint8))
