"""One-dimensional k-means as scikit-learn runs it."""

import numpy as np
from sklearn.cluster import KMeans


def kmeans(values: np.ndarray, start: np.ndarray, iterations: int) -> tuple[np.ndarray, np.ndarray]:
    """Centroids and assignments after Lloyd iterations from a given start."""
    model = KMeans(len(start), init=np.reshape(start, (-1, 1)), n_init=1, max_iter=iterations, tol=0.0)
    model.fit(np.reshape(values, (-1, 1)))
    return model.cluster_centers_[:, 0], model.labels_.reshape(values.shape)


def clusters(values: np.ndarray, start: np.ndarray | str, count: int, iterations: int) -> tuple[np.ndarray, np.ndarray]:
    """Centroids and assignments of one run with the settings of the class, from given centroids or a named start."""
    begin = start if isinstance(start, str) else np.reshape(start, (-1, 1))
    model = KMeans(count, init=begin, n_init=1, max_iter=iterations, random_state=0).fit(np.reshape(values, (-1, 1)))
    return model.cluster_centers_[:, 0], model.labels_


def distortion(values: np.ndarray, clusters: int, seed: int) -> float:
    """Sum of squared distances of the best of ten runs."""
    return float(KMeans(clusters, n_init=10, random_state=seed).fit(np.reshape(values, (-1, 1))).inertia_)
