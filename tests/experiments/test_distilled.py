"""Studies of distillation: their arithmetic, and each from its config to its table."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import assistants as assistants_config
from configs import distill_losses as losses_config
from configs import few_labels as few_config
from configs import hinton as hinton_config
from experiments import app
from experiments.reproduce import assistants, distill_losses, few_labels, grid, hinton
from experiments.reproduce.loop import Data

pytestmark = pytest.mark.loose


def launch(module: Any, folder: Any, cache: str, **changes: Any) -> app.Launch:
    """The smoke form of a config, with changes."""
    config = {**module.get_config("smoke").to_dict(), **changes}
    return app.Launch(config, str(folder), str(folder / "cache"), cache, app.make_mesh(1))


def test_the_bias_gives_a_class_its_share(draw: np.random.Generator) -> None:
    logits = draw.normal(size=(1000, 5))
    logits[:, 3] -= 9
    assert np.mean(logits.argmax(1) == 3) == 0
    logits[:, 3] += hinton.bias_of(logits, 3, 0.2)
    assert np.mean(logits.argmax(1) == 3) == pytest.approx(0.2, abs=1e-3)


def test_few_labels_are_as_many_of_every_class(problem: Any) -> None:
    config = {"labels": 4}
    rows = few_labels.few(problem, config, 0)
    np.testing.assert_array_equal(problem.data.train_labels[rows], np.repeat(range(10), 4))
    assert set(rows) != set(few_labels.few(problem, config, 1))
    with pytest.raises(ValueError, match="labels=10000: one class has"):
        few_labels.few(problem, {"labels": 10000}, 0)


def test_labels_of_a_teacher_in_every_way(draw: np.random.Generator) -> None:
    logits = 3 * draw.normal(size=(40, 3)).astype(np.float32)
    data = Data(jnp.arange(40), jnp.zeros(40, int), jnp.zeros(1), jnp.zeros(1, int))
    config = {"temperature": 1.0, "threshold": 0.9, "balanced": 6, "batch": 4}
    made = {way: few_labels.labeled(data, logits, way, config, lambda p, x: x)[0] for way in few_labels.WAYS}
    np.testing.assert_array_equal(made["hard"].train_labels, logits.argmax(-1))
    np.testing.assert_array_equal(made["soft"].train_labels[:, :-1], logits)
    sure = np.flatnonzero(np.max(jax.nn.softmax(logits), -1) >= 0.9)
    np.testing.assert_array_equal(made["certain"].train, sure)
    np.testing.assert_array_equal(made["balanced"].train_labels, np.repeat(range(3), 6))
    np.testing.assert_array_equal(made["balanced"].train_labels, logits.argmax(-1)[made["balanced"].train])
    with pytest.raises(ValueError, match="lower --config.threshold=1"):
        few_labels.labeled(data, logits, "certain", {**config, "threshold": 1.0}, lambda p, x: x)


def test_images_are_halved_by_means() -> None:
    images = np.arange(2 * 5 * 4, dtype=np.uint8).reshape(2, 5, 4, 1)
    found = distill_losses.halved(images)
    assert found.shape == (2, 2, 2, 1)
    assert found[1, 1, 0, 0] == round(float(np.mean(images[1, 2:4, 0:2])))


@pytest.mark.thorough
@pytest.mark.parametrize("module", [hinton_config, assistants_config, few_config, losses_config],
                         ids=lambda module: module.__name__)  # fmt: skip
def test_studies_run(module: Any, data_cache: str, tmp_path: Any) -> None:
    grid.reproduce(launch(module, tmp_path, data_cache))
    text = (tmp_path / "table.md").read_text()
    assert "nan" not in text
    for row in module.get_config("smoke").asked:
        assert row[0] in text


@pytest.mark.thorough
def test_a_student_without_a_class_never_sees_it(data_cache: str, tmp_path: Any, monkeypatch: Any) -> None:
    seen: list[Data] = []
    real = hinton.teach

    def teach(problem: Any, start: Any, data: Data, *args: Any, **settings: Any) -> Any:
        seen.append(data)
        return real(problem, start, data, *args, **settings)

    monkeypatch.setattr(hinton, "teach", teach)
    ready = launch(hinton_config, tmp_path, data_cache)
    found = hinton.run(hinton.prepare(ready), ready.config, "without class 3, T 4.0", 0)
    assert set(found) == {"error", "recognized", "error corrected", "recognized corrected"}
    assert [data.train_labels.ndim for data in seen] == [1, 2]  # the teacher on labels, the student on logits
    assert set(np.unique(seen[1].train_labels[:, -1])) == set(range(10)) - {3}


@pytest.mark.thorough
def test_assistants_lie_between_and_bad_configs_are_refused(data_cache: str, tmp_path: Any) -> None:
    ready = launch(assistants_config, tmp_path, data_cache)
    shared = assistants.prepare(ready)
    (width,) = assistants.widths(shared.problem, ready.config, 1)
    assert 4 < width < 32
    with pytest.raises(ValueError, match="student must be smaller"):
        assistants.prepare(launch(assistants_config, tmp_path, data_cache, student=32))
    with pytest.raises(ValueError, match="'kd' does not exist"):
        distill_losses.prepare(launch(losses_config, tmp_path, data_cache, losses=(("kd", 1.0),)))
