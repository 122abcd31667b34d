"""The handwritten digits that scikit-learn carries inside its wheel."""

from experiments.datasets.digits.builder import Digits as Digits
