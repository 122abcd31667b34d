"""How many components: by their share of the variance, by evidence, or by comparison with noise."""

import jax
import numpy as np
from scipy.special import gammaln


def by_share(values: np.ndarray, share: float) -> int:
    """The least number of components that keep a share of the sum."""
    found = np.cumsum(values) / max(values.sum(), 1e-30)
    return int(np.searchsorted(found, share - 1e-9)) + 1


def by_evidence(variances: np.ndarray, rows: int) -> int:
    """The number with the largest evidence of probabilistic PCA in Laplace's approximation (Minka, 2000)."""
    found = [_evidence(variances, k, rows) for k in range(1, len(variances))]
    return int(np.argmax(found)) + 1 if found else 1


def _evidence(variances: np.ndarray, k: int, rows: int) -> float:
    features = len(variances)
    if variances[k - 1] < 1e-6 * variances[0]:  # below that, a variance in float32 is rounding
        return -np.inf
    noise = max(variances[k:].sum() / (features - k), 1e-12 * variances[0])
    left = features - np.arange(k)
    volume = -k * np.log(2) + np.sum(gammaln(left / 2) - np.log(np.pi) * left / 2)
    likelihood = -rows / 2 * (np.log(variances[:k]).sum() + np.log(noise) * (features - k))
    free = features * k - k * (k + 1) / 2
    inner = np.where(np.arange(features) < k, variances, noise)
    upper = [(i, j) for i in range(k) for j in range(i + 1, features)]
    i, j = np.array(upper).T
    gaps = np.maximum(variances[i] - variances[j], 1e-12 * variances[0]) * np.maximum(
        1 / inner[j] - 1 / inner[i], 1e-30
    )
    curvature = np.sum(np.log(gaps)) + np.log(rows) * len(upper)
    return volume + likelihood + np.log(2 * np.pi) * (free + k) / 2 - curvature / 2 - k * np.log(rows) / 2


def by_noise(variances: np.ndarray, features: np.ndarray, rows: int, key: jax.Array, draws: int = 20) -> int:
    """How many variances are above the 95th percentile of those of independent features (Horn, 1965).

    `features` are the variances of the features. The scatter of normal rows has a Wishart law, so its Cholesky factor
    is drawn in place of the rows (Bartlett, 1933).
    """
    draw = np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel().tolist())
    d, free = len(features), rows - 1
    noise = []
    for _ in range(draws):
        if free > d:
            root = np.tril(draw.normal(size=(d, d)), -1) + np.diag(np.sqrt(draw.chisquare(free - np.arange(d))))
        else:
            root = draw.normal(size=(d, free))
        root = np.sqrt(features)[:, None] * root
        noise.append(np.linalg.eigvalsh(root @ root.T)[::-1] / free)
    above = variances > np.quantile(noise, 0.95, axis=0)
    return max(int(np.argmin(above)) if not above.all() else len(above), 1)
