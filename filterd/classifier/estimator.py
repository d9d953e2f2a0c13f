"""The site model's learner as a scikit-learn estimator, for those who want to compare, select or stack it.

Follows scikit-learn's conventions: parameters are stored in `__init__`, learned attributes end in `_`, `fit` and
`partial_fit` return self. Rows are scaled to length one, as the views are. Never imported at serving.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from filterd.classifier.learner import BIAS, ETA, START, WRONG, pull
from filterd.classifier.metrics import probability

Floats = NDArray[np.float64]


class AdaGradClassifier(ClassifierMixin, BaseEstimator):
    """Logistic regression by AdaGrad in which a label that contradicts a sure score pulls little.

    Parameters: `eta`, the rate; `wrong`, the share of labels that may be wrong, 0 for none; `epochs` of `fit`.
    Learned: `coef_` of shape (1, n_features), `intercept_` (1,), `classes_` (2,).
    """

    def __init__(self, eta: float = ETA, wrong: float = WRONG, epochs: int = 5) -> None:
        self.eta = eta
        self.wrong = wrong
        self.epochs = epochs

    def fit(self, X: Any, y: Any) -> AdaGradClassifier:
        """Learn from nothing, in the order of the rows, `epochs` times."""
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=np.float64)
        self._start(np.unique(y), y, X.shape[1])
        for _ in range(self.epochs):
            self._learn(X, y)
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> AdaGradClassifier:
        """Learn some more rows; the first call must name the classes."""
        first = not hasattr(self, "coef_")
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=np.float64, reset=first)
        if first:
            self._start(np.unique(y if classes is None else classes), y, X.shape[1])
        self._learn(X, y)
        return self

    def decision_function(self, X: Any) -> Floats:
        """Log-odds of the second class."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=np.float64, reset=False)
        return np.asarray(_unit(X) @ self.coef_[0] + self.intercept_[0], dtype=np.float64)

    def predict_proba(self, X: Any) -> Floats:
        second = probability(self.decision_function(X))
        return np.column_stack((1 - second, second))

    def predict(self, X: Any) -> Any:
        second = self.decision_function(X) > 0
        return self.classes_[second.astype(int)]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[no-untyped-call]
        tags.input_tags.sparse = True
        tags.classifier_tags.multi_class = False
        return tags

    def _start(self, classes: Any, y: Any, features: int) -> None:
        check_classification_targets(y)
        if len(classes) > 2:
            raise ValueError(f"Only binary classification is supported. Classes found: {classes}")
        if len(classes) < 2:
            raise ValueError("Classifier can't train when only one class is present.")
        self.classes_ = classes
        self.coef_ = np.zeros((1, features))
        self.intercept_ = np.zeros(1)
        self._squares = np.full(features + 1, START)

    def _learn(self, X: Any, y: Any) -> None:
        rows = _unit(X)
        for row, label in enumerate(y):
            part = slice(rows.indptr[row], rows.indptr[row + 1])
            sign = 1.0 if label == self.classes_[1] else -1.0
            self._step(rows.indices[part], rows.data[part], sign)

    def _step(self, at: Any, values: Floats, sign: float) -> None:
        margin = sign * (float(self.coef_[0, at] @ values) + self.intercept_[0])
        force = pull(margin, self.wrong)
        gradient = np.append(force * values, force)
        places = np.append(at, len(self._squares) - 1)
        self._squares[places] += gradient**2
        move = sign * self.eta * gradient / np.sqrt(self._squares[places])
        self.coef_[0, at] += move[:-1]
        self.intercept_[0] += BIAS * move[-1]


def _unit(X: Any) -> Any:
    """The rows, each of length one."""
    rows = csr_matrix(X)
    lengths = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    scaled = rows.astype(np.float64, copy=True)
    scaled.data /= np.repeat(np.where(lengths > 0, lengths, 1.0), np.diff(rows.indptr))
    return scaled
