"""Losses on the outputs of classifiers and regressors."""
