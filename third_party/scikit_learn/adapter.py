"""One-dimensional k-means as scikit-learn runs it."""

import numpy as np
from sklearn.cluster import KMeans

# What the class itself has where nothing is said.
TOLERANCE = 1e-4


def kmeans(
    values: np.ndarray, start: np.ndarray | str, iterations: int, *, count: int | None = None, tol: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Centroids and assignments after Lloyd iterations from given centroids, or from a named start of so many."""
    named = isinstance(start, str)
    begin = start if named else np.reshape(start, (-1, 1))
    model = KMeans(count if named else len(start), init=begin, n_init=1, max_iter=iterations, tol=tol, random_state=0)
    model.fit(np.reshape(values, (-1, 1)))
    return model.cluster_centers_[:, 0], model.labels_.reshape(values.shape)


def distortion(values: np.ndarray, clusters: int, seed: int) -> float:
    """Sum of squared distances of the best of ten runs."""
    return float(KMeans(clusters, n_init=10, random_state=seed).fit(np.reshape(values, (-1, 1))).inertia_)
