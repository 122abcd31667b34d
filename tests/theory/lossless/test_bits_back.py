"""Bits back: rows come back, at the length of the evidence, and other models are noticed."""

import numpy as np
import pytest
import scipy.special
import scipy.stats

from compressjax.coding import ArtifactError
from compressjax.theory import BitsBack, decode_rows, encode_rows

WEIGHTS = np.random.default_rng(3).normal(size=(2, 30))


def likelihood(z):
    chance = scipy.special.expit(2 * z @ WEIGHTS)
    return np.stack([1 - chance, chance], -1)


def posterior(x):
    return WEIGHTS @ (x - 0.5) / 8, np.full(2, 0.4)


MODEL = BitsBack(posterior, likelihood, latent=2)


def rows(count, draw):
    z = draw.normal(size=(count, 2))
    return (draw.random((count, 30)) < likelihood(z)[..., 1]).astype(np.int64)


def test_rows_come_back_at_the_length_of_the_bound(draw):
    """The bound by quadrature over the codes, with SciPy's densities."""
    x = rows(150, draw)
    data = encode_rows(x, MODEL)
    np.testing.assert_array_equal(decode_rows(data, MODEL, 150), x)
    points, shares = np.polynomial.hermite_e.hermegauss(20)
    grid, weight = np.stack(np.meshgrid(points, points), -1).reshape(-1, 2), np.outer(shares, shares).ravel()
    bound = 0.0
    for row in x:
        mean, deviation = posterior(row)
        z = mean + deviation * grid
        inside = np.log(np.take_along_axis(likelihood(z), row[None, :, None], -1)[..., 0]).sum(-1)
        inside += scipy.stats.norm.logpdf(z).sum(-1) - scipy.stats.norm.logpdf(z, mean, deviation).sum(-1)
        bound -= (weight * inside).sum() / weight.sum() / np.log(2)
    spent = 8 * len(data) - 32 * len(MODEL.words())
    assert spent == pytest.approx(bound, rel=0.03)
    assert spent < 0.97 * x.size  # less than a bit a pixel


def test_another_model_count_or_stream_is_noticed(draw):
    data = encode_rows(rows(5, draw), MODEL)
    other = MODEL._replace(posterior=lambda x: (np.zeros(2), np.ones(2)))
    for stream, model, count in ((data, other, 5), (data, MODEL, 4), (data[:-4], MODEL, 5)):
        with pytest.raises(ArtifactError, match="does not end as it began"):
            decode_rows(stream, model, count)


@pytest.mark.parametrize(
    ("x", "model", "said"),
    [
        (np.zeros(3, int), MODEL, "give integers"),
        (np.zeros((1, 30)), MODEL, "give integers"),
        (np.full((1, 30), 2), MODEL, r"gave \[30, 2\] for a row of 30 pixels up to 2"),
        (np.zeros((1, 30), int), MODEL._replace(posterior=lambda x: (np.zeros(2), np.zeros(2))), "positive deviations"),
    ],
)
def test_bad_input_is_named(x, model, said):
    with pytest.raises(ValueError, match=said):
        encode_rows(x, model)
