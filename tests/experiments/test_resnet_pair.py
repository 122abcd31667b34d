"""Residual networks that teach: what a student minimizes, and what is refused."""

import jax
import numpy as np
import pytest
import scipy.special

from configs import distill_resnets
from experiments import app
from experiments.reproduce import resnet_pair

pytestmark = pytest.mark.loose


def test_the_loss_is_cross_entropy_and_the_divergence_from_the_teacher():
    student, teacher = np.random.default_rng(0).normal(size=(2, 5, 3))
    labels = np.array([0, 2, 1, 1, 0])
    targets = np.concatenate([teacher, labels[:, None]], 1).astype(np.float32)
    own, its = (scipy.special.log_softmax(z / 4, axis=1) for z in (student, teacher))
    entropy = -scipy.special.log_softmax(student, axis=1)[np.arange(5), labels].mean()
    want = entropy + 3 * 16 * np.mean(np.sum(np.exp(its) * (its - own), 1))
    got = resnet_pair.joined(resnet_pair.LOSSES["soft targets"], 3.0)(jax.numpy.float32(student), targets)
    assert float(got) == pytest.approx(want, rel=1e-4)


def test_networks_without_norms_are_refused(data_cache, tmp_path):
    config = distill_resnets.get_config("smoke").to_dict()
    config["student"] = {"name": "mlp", "settings": {}}
    with pytest.raises(ValueError, match=r"--config.student.name='mlp' has no BatchNorm"):
        resnet_pair.prepare(app.Launch(config, str(tmp_path), "", data_cache, app.make_mesh(1)))


@pytest.mark.thorough
def test_students_differ_by_their_loss_alone(data_cache, tmp_path):
    config = distill_resnets.get_config("smoke").to_dict()
    config["steps"] = 120
    for name in ("teacher", "student"):
        config[name]["settings"] = {"widths": (8, 8), "inner": (8, 8)}
    shared = resnet_pair.prepare(app.Launch(config, str(tmp_path), "", data_cache, app.make_mesh(1)))
    errors = {name: resnet_pair.run(shared, config, name, 0)["error"] for name in ("teacher", "plain", "DIST")}
    assert errors["teacher"] == errors["plain"] < 60  # one network, one seed; a tenth of the classes would be 90
    assert errors["DIST"] != errors["plain"]
    again = resnet_pair.run(shared, {**config, "strength": 1e-12}, "DIST", 0)["error"]
    assert again == pytest.approx(errors["plain"], abs=1.0)
