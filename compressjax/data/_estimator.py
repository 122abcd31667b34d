"""Reducers with the face of scikit-learn."""

import importlib
from typing import Any

import numpy as np

from compressjax.data._fit import fit, gathered
from compressjax.data._reducer import Reducer


def as_estimator(reducer: Reducer) -> "Estimator":
    """Returns a reducer as a transformer of scikit-learn, for pipelines and searches.

    .. math:: fit(X, y),\\; transform(X) = T(X)

    scikit-learn itself is imported only where it asks. In a search over reducers, list estimators:
    `{"reduce": [as_estimator(pca(2)), as_estimator(pca(5))]}`.

    Args:
        reducer: From this package, or any other `Reducer`.

    Returns:
        The estimator.

    Raises:
        ValueError: If it is no reducer.

    Example:
        >>> from compressjax.data import pca
        >>> as_estimator(pca(1)).fit_transform(np.array([[1.0, 2.0], [3.0, 2.0]])).round(3).tolist()
        [[-1.0], [1.0]]
    """
    return Estimator(reducer)


class Estimator:
    """A transformer of scikit-learn around a reducer.

    Labels of any type become classes `0, 1, ...` in the order of `numpy.unique`.

    Attributes:
        reducer: The reducer.
        fitted_: What it has learned, after `fit` or `partial_fit`.
        n_features_in_: Number of features that it has seen.
        classes_: Labels of the classes, if the reducer reads classes.

    Example:
        >>> from compressjax.data import standard_scaler
        >>> estimator = Estimator(standard_scaler()).partial_fit(np.array([[1.0]])).partial_fit(np.array([[3.0]]))
        >>> estimator.transform(np.array([[5.0]])).tolist()
        [[3.0]]
    """

    def __init__(self, reducer: Reducer) -> None:
        if not isinstance(reducer, Reducer):
            raise ValueError(f"as_estimator: {type(reducer).__name__} is no reducer; call its factory, as in pca(8)")
        self.reducer = reducer

    def fit(self, X: Any, y: Any = None) -> "Estimator":
        """Learns from all rows."""
        self._forget()
        self._learn_names(X)
        self._learn_classes(y, None)
        self._fitted = fit(self.reducer, self._batch(X, y, [X]))
        return self

    def partial_fit(self, X: Any, y: Any = None, classes: Any = None) -> "Estimator":
        """Learns from some more rows; `classes` in the first call lists all labels that will come."""
        if self.reducer.again is not None:
            raise ValueError(f"{self.reducer.name}: it reads all rows several times; call fit")
        if not hasattr(self, "_state"):
            self._forget()
            self._learn_names(X)
            self._state: Any = None
            self._learn_classes(y, classes)
        self._check_width(X)
        self._state = gathered(self.reducer, self._batch(X, y, [X]), start=self._state)
        self._fitted = None
        return self

    @property
    def fitted_(self) -> Any:
        """What the reducer has learned."""
        if getattr(self, "_fitted", None) is None:
            if not hasattr(self, "_state"):
                raise AttributeError(f"{self.reducer.name} is not fitted yet; call fit")
            self._fitted = self.reducer.finalize(self._state)
        return self._fitted

    def transform(self, X: Any) -> np.ndarray:
        """Rows with fewer features, as a NumPy array."""
        fitted = self.fitted_
        self._check_width(X)
        return np.asarray(fitted.transform(X if hasattr(X, "tocoo") else np.asarray(X)))

    def fit_transform(self, X: Any, y: Any = None, **_: Any) -> np.ndarray:
        """Learns from all rows, and transforms them."""
        return self.fit(X, y).transform(X)

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Rows as they were, as far as the reducer can tell."""
        fitted = self.fitted_
        if not hasattr(fitted, "inverse_transform"):
            raise ValueError(f"{self.reducer.name}: {type(fitted).__name__} has no inverse")
        return np.asarray(fitted.inverse_transform(np.asarray(X)))

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the results: those of the features where these stay, else the name of the reducer and a number."""
        fitted = self.fitted_
        given = (
            getattr(self, "feature_names_in_", None) if input_features is None else np.asarray(input_features, object)
        )
        names = np.array([f"x{i}" for i in range(self.n_features_in_)], object) if given is None else given
        if len(names) != self.n_features_in_:
            raise ValueError(f"{self.reducer.name}: {len(names)} names for {self.n_features_in_} features")
        if hasattr(fitted, "places"):
            return names[np.asarray(fitted.places)]
        width = fitted.transform(np.zeros((1, self.n_features_in_), np.float32)).shape[1]
        stem = self.reducer.name.partition("(")[0]
        return names if width == len(names) else np.array([f"{stem}{i}" for i in range(width)], object)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The reducer, by name."""
        return {"reducer": self.reducer}

    def set_params(self, **params: Any) -> "Estimator":
        """Takes another reducer."""
        if unknown := set(params) - {"reducer"}:
            raise ValueError(f"as_estimator: {sorted(unknown)} are no parameters; it has 'reducer'")
        self.__init__(params.get("reducer", self.reducer))  # type: ignore[misc]
        return self

    def __repr__(self) -> str:
        return f"as_estimator({self.reducer.name})"

    def __sklearn_clone__(self) -> "Estimator":
        return Estimator(self.reducer)

    def __sklearn_is_fitted__(self) -> bool:
        return getattr(self, "_fitted", None) is not None or hasattr(self, "_state")

    def __sklearn_tags__(self) -> Any:
        tags = importlib.import_module("sklearn.utils")
        needs = self.reducer.reads.labels is not None
        inputs = tags.InputTags(sparse=self.reducer.reads.sparse, allow_nan=self.reducer.reads.missing)
        return tags.Tags(estimator_type="transformer", target_tags=tags.TargetTags(required=needs),
                         transformer_tags=tags.TransformerTags(), input_tags=inputs)  # fmt: skip

    def _forget(self) -> None:
        for name in ("_state", "_fitted", "classes_", "feature_names_in_"):
            self.__dict__.pop(name, None)

    def _learn_names(self, X: Any) -> None:
        self.n_features_in_ = np.shape(X)[1] if len(np.shape(X)) == 2 else 0
        if hasattr(X, "columns"):
            self.feature_names_in_ = np.asarray(X.columns, object)

    def _learn_classes(self, y: Any, classes: Any) -> None:
        reads = self.reducer.reads
        if reads.labels is not None and y is None:
            raise ValueError(f"{self.reducer.name}: it needs labels; call fit(X, y)")
        if reads.labels == "classes":
            self.classes_ = np.unique(np.asarray(y if classes is None else classes))
            if reads.classes is not None and len(self.classes_) > reads.classes:
                raise ValueError(f"{self.reducer.name}: {len(self.classes_)} labels for classes={reads.classes}")

    def _batch(self, X: Any, y: Any, alone: list[Any]) -> Any:
        x = [part if hasattr(part, "tocoo") else np.asarray(part) for part in alone]
        if self.reducer.reads.labels is None:
            return x[0] if x[0].ndim == 2 and not hasattr(x[0], "tocoo") else x
        labels = np.asarray(y)
        if self.reducer.reads.labels == "classes":
            places = np.minimum(np.searchsorted(self.classes_, labels), len(self.classes_) - 1)
            if (new := self.classes_[places] != labels).any():
                raise ValueError(
                    f"{self.reducer.name}: the label {labels[new][0].item()!r} is none of {self.classes_}; list all in "
                    "classes= of the first partial_fit"
                )
            labels = places
        return x[0], labels

    def _check_width(self, X: Any) -> None:
        if len(np.shape(X)) != 2 or np.shape(X)[1] != self.n_features_in_:
            raise ValueError(
                f"{self.reducer.name}: rows of shape {np.shape(X)}; they have {self.n_features_in_} features"
            )
