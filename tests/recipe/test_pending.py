"""What is written while the caller goes on is what was there when it began."""

import numpy as np
import pytest

from compressjax import recipe
from compressjax.recipe import _pending


def test_the_arrays_are_those_of_the_beginning(tmp_path):
    store, array = recipe.Store(str(tmp_path)), np.arange(4.0)
    pending = store.begin("a/b", {"x": array}, {})
    array[:] = 0
    pending.wait()
    pending.wait()
    assert store.load("a/b").tree["x"].tolist() == [0, 1, 2, 3]


def test_an_error_of_the_thread_comes_with_wait(tmp_path, monkeypatch):
    store = recipe.Store(str(tmp_path))

    def fail(folder):
        raise OSError(28, "No space left on device", "elsewhere")

    monkeypatch.setattr("compressjax.recipe._store.seal", fail)
    pending = store.begin("a/b", {"x": np.ones(2)}, {})
    with pytest.raises(OSError, match="No space left") as error:
        pending.wait()
    assert error.value.filename == str(tmp_path / "a" / "b")
    assert list((tmp_path / "a").iterdir()) == []


def test_the_library_below_reports_a_full_disk_in_words(tmp_path):
    pending = _pending.Pending(tmp_path / "a")
    with pytest.raises(OSError, match="No space left"):
        pending._fail(ValueError("NOT_FOUND: [source locations='x'; os_error_code='28']"))
