"""The face of scikit-learn: pipelines, clones, searches, names, parts."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import check_is_fitted

from compressjax import data

X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]


def test_it_works_in_a_pipeline_with_labels_that_are_names():
    chosen = data.as_estimator(data.select_anova(2, 3))
    pipe = make_pipeline(data.as_estimator(data.standard_scaler()), chosen, LogisticRegression())
    twin = clone(pipe)
    with pytest.raises(NotFittedError):
        check_is_fitted(twin[1])
    pipe.fit(X, NAMES)
    assert pipe.score(X, NAMES) > 0.94
    check_is_fitted(pipe[0])
    assert pipe[:2].get_feature_names_out(["a", "b", "c", "d"]).tolist() == ["c", "d"]
    assert chosen.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert twin[1].reducer is chosen.reducer


def test_a_search_chooses_among_reducers():
    pipe = make_pipeline(data.as_estimator(data.pca(1)), LogisticRegression())
    grid = [data.as_estimator(data.select_variance(k=1)), data.as_estimator(data.pca(3))]
    search = GridSearchCV(pipe, {"estimator": grid}, cv=2).fit(X, Y)
    assert search.best_params_["estimator"].reducer.name == "pca(3)"
    assert search.best_estimator_[0].get_feature_names_out().tolist() == ["pca0", "pca1", "pca2"]


def test_parts_equal_the_whole():
    whole = data.as_estimator(data.select_chi2(2, 3)).fit(X, NAMES)
    parts = data.as_estimator(data.select_chi2(2, 3)).partial_fit(X[:75], NAMES[:75], classes=np.unique(NAMES))
    parts.partial_fit(X[75:], NAMES[75:])
    np.testing.assert_allclose(parts.fitted_.scores, whole.fitted_.scores, rtol=1e-4)
    np.testing.assert_array_equal(parts.transform(X), whole.transform(X))
    scaler = data.as_estimator(data.standard_scaler()).fit(X)
    np.testing.assert_allclose(scaler.inverse_transform(scaler.transform(X)), X, rtol=1e-5)
    assert scaler.get_feature_names_out().tolist() == ["x0", "x1", "x2", "x3"]
    assert repr(scaler) == "as_estimator(standard_scaler)"


def test_sparse_rows_pass():
    chosen = data.as_estimator(data.select_chi2(2, 3))
    want = chosen.fit(X, NAMES).transform(X)
    np.testing.assert_allclose(chosen.fit(sparse.csr_array(X), NAMES).transform(sparse.csr_array(X)), want, rtol=1e-6)


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="function is no reducer; call its factory"):
        data.as_estimator(data.pca)
    one = data.as_estimator(data.select_chi2(2, 2))
    for call, said in [
        (lambda: one.fit(X), "it needs labels"),
        (lambda: one.fit(X, Y), "3 labels for classes=2"),
        (lambda: one.partial_fit(X[:60], Y[:60]).partial_fit(X[140:], Y[140:]), "the label 2 is none of"),
        (lambda: data.as_estimator(data.pca(2)).fit(X).transform(X[:, :3]), r"shape \(150, 3\); they have 4"),
        (lambda: data.as_estimator(data.pca(2)).fit(X).get_feature_names_out(["a"]), "1 names for 4"),
        (lambda: one.set_params(k=3), "'k'"),
        (lambda: data.as_estimator(data.random_projection(1, 0)).inverse_transform(X), "not fitted yet"),
    ]:
        with pytest.raises((ValueError, AttributeError), match=said):
            call()
