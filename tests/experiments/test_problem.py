"""Accuracy, and logits in batches."""

import numpy as np
import pytest

from experiments.problem import assess, predict

pytestmark = pytest.mark.loose


def test_predict_pads_and_cuts():
    images = np.arange(1203, dtype=np.float32).reshape(1203, 1, 1, 1)
    found = predict(lambda params, x: params * x.reshape(-1, 1), 2.0, images)
    np.testing.assert_array_equal(found[:, 0], 2 * np.arange(1203))


def test_assess_by_hand():
    found = assess(np.array([[0.0, 1.0], [3.0, 0.0], [0.0, 0.0]]), np.array([1, 1, 0]))
    assert found["correct"] == 2
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["loss"] == pytest.approx(np.mean([np.log(1 + np.exp(-1)), np.log(1 + np.exp(3)), np.log(2)]), rel=1e-6)


def test_apply_standardizes(problem):
    images = problem.data.test_images[:4]
    params = problem.initial_params()
    by_hand = (images.astype(np.float32) - problem.data.mean) / problem.data.std
    np.testing.assert_allclose(
        problem.apply(params, images), problem.model.apply({"params": params}, by_hand), atol=1e-5
    )
