"""Principal components against scikit-learn, closed forms and golden values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.decomposition import PCA

from compressjax import data
from tests.data import laws

# scikit-learn 1.9.1 on the digits
GOLDEN = [0.148906, 0.136188, 0.117946, 0.084100, 0.057824, 0.049169, 0.043160, 0.036614, 0.033532, 0.030788]


def test_ratios_of_the_digits_are_the_golden_ones():
    fitted = laws.check(data.pca(10), laws.digits(), 1e-3)
    np.testing.assert_allclose(fitted.explained_variance_ratio, GOLDEN, atol=1.5e-6)


@pytest.mark.turns(2)
@pytest.mark.parametrize("load", [laws.digits, load_wine, load_breast_cancer])
@pytest.mark.parametrize("whiten", [False, True])
def test_it_is_that_of_scikit_learn(load, whiten):
    found = load()
    rows = (found if isinstance(found, np.ndarray) else found.data).astype(np.float32)
    rows = rows / np.maximum(rows.std(0), 1e-6)
    fitted = data.fit(data.pca(5, whiten=whiten), rows)
    reference = PCA(5, whiten=whiten, svd_solver="full").fit(rows.astype(np.float64))
    laws.assert_close(fitted.explained_variance, reference.explained_variance_)
    laws.assert_close(fitted.singular_values, reference.singular_values_)
    assert float(fitted.noise_variance) == pytest.approx(reference.noise_variance_, rel=1e-4)
    laws.assert_close(fitted.components, reference.components_, 1e-3)
    laws.assert_close(fitted.transform(rows), reference.transform(rows), 1e-3)
    laws.assert_close(
        fitted.inverse_transform(fitted.transform(rows)), reference.inverse_transform(reference.transform(rows)), 1e-3
    )
    error = np.mean(np.sum((reference.inverse_transform(reference.transform(rows)) - rows) ** 2, 1))
    assert float(fitted.reconstruction_error(rows)) == pytest.approx(error, rel=1e-4)


def test_a_matrix_by_hand():
    rows = np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]])
    fitted = data.fit(data.pca(3), rows)
    np.testing.assert_allclose(fitted.explained_variance, [27, 0, 0], atol=1e-5)
    np.testing.assert_allclose(fitted.components[0], [3**-0.5] * 3, rtol=1e-6)
    np.testing.assert_allclose(fitted.singular_values[0], 54**0.5, rtol=1e-6)


def test_a_share_of_the_variance():
    rows = laws.digits()
    for share in (0.5, 0.738):
        fitted = data.fit(data.pca(share), rows)
        kept = len(PCA(share, svd_solver="full").fit(rows).components_)
        assert len(fitted.components) == kept
    assert data.fit(data.pca(), rows).explained_variance_ratio.sum() >= 0.9


def test_it_runs_under_jit_and_has_gradients():
    rows = jnp.asarray(laws.digits()[:100, 20:28])

    def error(rows):
        reducer = data.pca(2)
        return reducer.finalize(reducer.update(reducer.init(8), rows)).reconstruction_error(rows)

    slope = jax.jit(jax.grad(error))(rows)
    bump = jnp.zeros_like(rows).at[3, 4].set(1e-1)
    numeric = (error(rows + bump) - error(rows - bump)) / 2e-1
    assert float(slope[3, 4]) == pytest.approx(float(numeric), rel=0.05, abs=1e-3)


def test_bad_arguments_are_named():
    for bad in (0, -1, 1.5, 0.0):
        with pytest.raises(ValueError, match=f"components={bad}"):
            data.pca(bad)
    with pytest.raises(ValueError, match="3 rows of 8 features do not have components=4"):
        data.fit(data.pca(4), np.ones((3, 8)))
    with pytest.raises(ValueError, match="1 rows"):
        data.fit(data.pca(1), np.ones((1, 8)))
