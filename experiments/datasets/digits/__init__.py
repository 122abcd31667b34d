"""The handwritten digits in scikit-learn's wheel."""

from experiments.datasets.digits.builder import Digits as Digits
