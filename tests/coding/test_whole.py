"""Files are replaced whole, also where the system cannot flush."""

import errno
import os
import stat

import pytest

from compressjax.coding import ArtifactError
from compressjax.coding._store import store
from compressjax.coding._whole import draft_of, replace_file


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_what_cannot_be_flushed_is_written(tmp_path, monkeypatch, code):
    def fail(handle):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    store(tmp_path / "a.cjx", b"new")
    replace_file(tmp_path / "b", b"new", 0o600)
    assert [(tmp_path / name).read_bytes() for name in ("a.cjx", "b")] == [b"new", b"new"]
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o600


def test_a_disk_that_fails_is_an_error_and_leaves_nothing(tmp_path, monkeypatch):
    def fail(handle):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ArtifactError, match=r"a\.cjx cannot be written: Input/output error"):
        store(tmp_path / "a.cjx", b"new")
    assert os.listdir(tmp_path) == []


def test_drafts_are_hidden_short_and_different(tmp_path):
    one, two = (draft_of(tmp_path / ("n" * 255)) for _ in range(2))
    assert one.parent == tmp_path
    assert one.name.startswith(".")
    assert len(one.name) < 30
    assert one != two
