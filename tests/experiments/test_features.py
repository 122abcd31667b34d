"""Features are what the last layer reads."""

import numpy as np

from experiments.reproduce.features import features_of


def test_the_last_layer_makes_the_logits_of_the_features(problem):
    params = problem.initial_params()
    logits, features = features_of(problem.apply, params, problem.data.test_images[:7])
    last = params["Dense_1"]
    kernel, bias = np.asarray(last["kernel"]), np.asarray(last["bias"])
    np.testing.assert_allclose(features @ kernel + bias, logits, rtol=1e-5, atol=1e-5)
    assert features.shape == (7, 32)
    assert features.min() == 0.0  # after the rectifier
