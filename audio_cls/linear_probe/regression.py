"""Logistic regression on standardised vectors, as one linear layer on the vectors as they are.

Letters: W windows, H hidden size, L labels.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # of scikit-learn

Floats = NDArray[np.float64]
Vectors = NDArray[np.float32]  # (W, H)

MAX_ITERATIONS = 300  # of L-BFGS, per fit
# Numbers in the vectors below which several threads are slower than one, many times slower if
# other programs use the cores too.
ONE_THREAD_BELOW = 4_000_000
ABSENT = -1e4  # logit of a class without training windows: its probability is 0


@dataclass(frozen=True)
class LinearLayer:
    """Logits of a vector x are `weight @ x + bias`."""

    weight: Floats  # (L, H)
    bias: Floats  # (L,)

    def __call__(self, vectors: Vectors) -> Floats:
        """Return the logits, (W, L)."""
        return np.asarray(vectors @ self.weight.T + self.bias)


@dataclass
class ProbeRegression:
    """scikit-learn's StandardScaler and LogisticRegression; multi-label: one for each label.

    Fits with increasing C start from the coefficients of the fit before.
    """

    vectors: Vectors
    targets: NDArray[np.int64]  # class ids (W,), or 0/1 per label (W, L)
    num_labels: int
    weights: Floats  # of the windows, (W,)
    pos_weights: Floats | None = None  # multi-label: of windows with the label, (L,)
    scaler: StandardScaler = field(init=False)
    models: dict[int, LogisticRegression] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Standardise the vectors."""
        self.scaler = StandardScaler()
        self.vectors = self.scaler.fit_transform(self.vectors)

    def fit(self, c: float) -> LinearLayer:
        """Fit with the inverse regularisation strength C; return the layer for plain vectors."""
        if self.targets.ndim == 1:
            weight, bias = self._fit_classes(c)
        else:
            rows = [self._fit_label(label, c) for label in range(self.num_labels)]
            weight, bias = np.stack([one[0] for one in rows]), np.array([one[1] for one in rows])
        scale, mean = np.asarray(self.scaler.scale_), np.asarray(self.scaler.mean_)
        weight = weight / scale
        return LinearLayer(weight, bias - weight @ mean)

    def _fit_classes(self, c: float) -> tuple[Floats, Floats]:
        """Return the coefficients (L, H) and intercepts (L,) of a multinomial regression."""
        weight = np.zeros((self.num_labels, self.vectors.shape[1]))
        bias = np.full(self.num_labels, ABSENT)
        present = np.unique(self.targets)
        if len(present) == 1:
            bias[present] = 0.0
            return weight, bias
        model = self._run(0, self.targets, self.weights, c)
        if len(present) == 2:  # one logit, of the second class
            weight[present] = np.concatenate([-model.coef_, model.coef_]) / 2
            bias[present] = np.concatenate([-model.intercept_, model.intercept_]) / 2
        else:
            weight[present], bias[present] = model.coef_, model.intercept_
        return weight, bias

    def _fit_label(self, label: int, c: float) -> tuple[Floats, float]:
        """Return coefficients (H,) and intercept of one label of a multi-label task."""
        has_label = self.targets[:, label]
        if len(np.unique(has_label)) == 1:
            share = (has_label.sum() + 0.5) / (len(has_label) + 1)
            return np.zeros(self.vectors.shape[1]), float(np.log(share / (1 - share)))
        gain = 1.0 if self.pos_weights is None else float(self.pos_weights[label])
        model = self._run(label, has_label, self.weights * np.where(has_label, gain, 1.0), c)
        return model.coef_[0], float(model.intercept_[0])

    def _run(
        self, key: int, targets: NDArray[np.int64], weights: Floats, c: float
    ) -> LogisticRegression:
        """Fit one regression, from the coefficients of its fit before."""
        model = self.models.setdefault(
            key, LogisticRegression(max_iter=MAX_ITERATIONS, warm_start=True)
        )
        model.set_params(C=c)
        threads = 1 if self.vectors.size < ONE_THREAD_BELOW else None
        with warnings.catch_warnings(), threadpool_limits(threads):
            warnings.simplefilter("ignore", ConvergenceWarning)  # the result is compared as it is
            model.fit(self.vectors, targets, sample_weight=weights)
        return model
