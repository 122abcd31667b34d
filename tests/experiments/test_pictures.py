"""Pictures of reducers: the numbers in them, and the command."""

import numpy as np
import pytest

from configs import data_pictures
from experiments import app, pictures

pytestmark = pytest.mark.loose


def test_the_rank_is_the_first_that_reaches_the_share():
    ratios = np.array([0.4, 0.3, 0.2, 0.1])
    assert [pictures.rank_of(ratios, share) for share in (0.4, 0.41, 0.7, 0.95, 1.0)] == [1, 2, 2, 4, 4]


def test_marks_lie_on_the_pixels_that_were_chosen(monkeypatch):
    held = []
    monkeypatch.setattr(pictures, "as_png", held.append)
    pictures.pixels(np.arange(6.0), np.array([1, 5]), (2, 3))
    (marks,) = held[0].axes[0].collections
    np.testing.assert_array_equal(marks.get_offsets(), [[1, 0], [2, 1]])


@pytest.mark.thorough
def test_the_command_writes_every_picture(data_cache, tmp_path, capsys):
    from matplotlib.image import imread

    config = data_pictures.get_config("smoke").to_dict()
    pictures.draw(app.Launch(config, str(tmp_path), str(tmp_path / "cache"), data_cache, app.make_mesh(1)))
    names = capsys.readouterr().out.split()
    assert len(names) == 7
    assert all(imread(name).std() > 0 for name in names)
