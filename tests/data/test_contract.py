"""Every reducer: its state goes over a wire, what it learns lies in a file and jits, scikit-learn can drive it."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import artifact, data
from compressjax.data.sources import _spark
from tests.data import laws

KEY = jax.random.key(0)
ROWS = np.random.default_rng(0).integers(0, 5, (24, 6)).astype(np.float32)
ROWS[:, 0] += 3 * (np.arange(24) % 3)
CLASSES, NUMBERS = np.arange(24) % 3, ROWS[:, 0] - ROWS[:, 1]

REDUCERS = {
    "autoencoder": lambda: data.autoencoder(2, KEY, widths=(4,), passes=2),
    "cca": lambda: data.cca(2, 3),
    "denoising_pca": data.denoising_pca,
    "dictionary_learning": lambda: data.dictionary_learning(3, KEY, passes=2),
    "frequent_directions": lambda: data.frequent_directions(4),
    "impute": data.impute,
    "impute_iterative": lambda: data.impute_iterative(rows=24),
    "incremental_pca": lambda: data.incremental_pca(2),
    "isolation_forest": lambda: data.isolation_forest(trees=2, rows=8, sample=24),
    "kernel_pca": lambda: data.kernel_pca(2, KEY, count=8),
    "lasso": lambda: data.lasso(0.1),
    "lasso_path": lambda: data.lasso_path(3),
    "median_scaler": lambda: data.median_scaler(size=32),
    "min_max_scaler": data.min_max_scaler,
    "nmf": lambda: data.nmf(2, KEY, passes=2),
    "online_dictionary": lambda: data.online_dictionary(3, KEY),
    "online_nmf": lambda: data.online_nmf(2, KEY),
    "pca": lambda: data.pca(2),
    "quantile_scaler": lambda: data.quantile_scaler(size=32),
    "random_features": lambda: data.random_features(4, KEY),
    "random_projection": lambda: data.random_projection(2, KEY),
    "randomized_pca": lambda: data.randomized_pca(2, KEY, extra=2),
    "robust_scaler": lambda: data.robust_scaler(size=32),
    "select_anova": lambda: data.select_anova(2, 3),
    "select_chi2": lambda: data.select_chi2(2, 3),
    "select_distance_correlation": lambda: data.select_distance_correlation(2, rows=24),
    "select_gradient": lambda: data.select_gradient(2, lambda x: jnp.sum(x**2, axis=1)),
    "select_information": lambda: data.select_information(2, 3, bins=16),
    "select_lasso": lambda: data.select_lasso(0.1),
    "select_mrmr": lambda: data.select_mrmr(2, 3, bins=16),
    "select_mutual_information": lambda: data.select_mutual_information(2, classes=3, rows=24),
    "select_pearson": lambda: data.select_pearson(2),
    "select_recursive": lambda: data.select_recursive(2),
    "select_spearman": lambda: data.select_spearman(2, rows=24),
    "select_stable": lambda: data.select_stable(0.2, halves=4, rows=24),
    "select_variance": data.select_variance,
    "sparse_pca": lambda: data.sparse_pca(2, steps=3),
    "standard_scaler": data.standard_scaler,
    "svd_pca": lambda: data.svd_pca(2),
    "truncated_svd": lambda: data.truncated_svd(2, KEY, extra=2),
    "whitening": data.whitening,
}


def test_no_reducer_is_left_out():
    named = {name for name in data.__all__ if inspect.isfunction(getattr(data, name))
             and getattr(data, name).__annotations__.get("return") is data.Reducer}  # fmt: skip
    assert named - set(REDUCERS) == set()


@pytest.mark.thorough
@pytest.mark.parametrize("name", REDUCERS)
def test_it_travels(name, tmp_path):
    reducer = REDUCERS[name]()
    labels = {None: None, "classes": CLASSES, "numbers": NUMBERS}[reducer.reads.labels]
    source = ROWS if labels is None else (ROWS, labels)
    state = data.gathered(reducer, source)
    jax.tree.map(np.testing.assert_array_equal, _spark.unpacked(reducer, 6, _spark.packed(state)), state)
    fitted = data.fit(reducer, source)
    artifact.save(tmp_path / "reducer.cjx", data.as_tree(fitted))
    back = data.from_tree(artifact.load(tmp_path / "reducer.cjx").tree)
    assert type(back) is type(fitted)
    found = jax.jit(lambda f, x: f.transform(x))(back, ROWS)
    laws.assert_close(found, fitted.transform(ROWS), 1e-4)
    estimator = data.as_estimator(reducer).fit(ROWS, labels)
    laws.assert_close(estimator.transform(ROWS), found, 1e-4)
    if np.ndim(found) == 2:
        assert len(estimator.get_feature_names_out()) == np.shape(found)[1]
