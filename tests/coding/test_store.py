"""Files on disk: all or nothing, through links, with their mode, and never what is no file."""

import os
import stat

import pytest

from compressjax.coding import ArtifactError, dumps
from compressjax.coding._store import load, store


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "model.cjx"
    store(target, b"old")

    def fail(*_):
        raise OSError("disk full")

    for call in ("fsync", "replace"):
        monkeypatch.setattr(os, call, fail)
        with pytest.raises(ArtifactError, match=r"cannot be written: disk full"):
            store(target, b"new")
        monkeypatch.undo()
        assert target.read_bytes() == b"old"
        assert os.listdir(tmp_path) == ["model.cjx"]
    store(target, b"new")
    assert target.read_bytes() == b"new"


def test_the_rename_follows_the_flush(tmp_path, monkeypatch):
    calls = []
    for call in ("fsync", "replace"):
        real = getattr(os, call)
        monkeypatch.setattr(os, call, lambda *a, call=call, real=real: (calls.append(call), real(*a))[1])
    store(tmp_path / "a", b"x")
    assert calls == ["fsync", "replace", "fsync"]


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(ArtifactError, match=r"none\.cjx cannot be read: No such file.*check the path"):
        load(tmp_path / "none.cjx")
    with pytest.raises(ArtifactError, match=r"cannot be written.*check that .*nowhere exists"):
        store(tmp_path / "nowhere" / "a.cjx", b"")


def test_a_link_keeps_its_target_and_a_file_its_mode(tmp_path):
    target, link, chained = (tmp_path / name for name in ("real.cjx", "link.cjx", "chained.cjx"))
    target.write_bytes(b"old")
    target.chmod(0o600)
    link.symlink_to("real.cjx")
    chained.symlink_to(link)
    store(chained, b"new")
    assert (chained.is_symlink(), link.is_symlink(), target.read_bytes()) == (True, True, b"new")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    (tmp_path / "later.cjx").symlink_to("absent.cjx")
    store(tmp_path / "later.cjx", b"new")
    assert (tmp_path / "absent.cjx").read_bytes() == b"new"
    assert len(os.listdir(tmp_path)) == 5


def test_what_is_no_file_is_refused_by_name_and_stays(tmp_path):
    pipe, loop = tmp_path / "pipe", tmp_path / "loop"
    os.mkfifo(pipe)
    loop.symlink_to(loop)
    for path, kind in ((pipe, "a pipe"), (loop, "a symbolic link"), (tmp_path, "a folder"), ("/dev/null", "a device")):
        with pytest.raises(ArtifactError, match=f"cannot be written: it is {kind}"):
            store(path, b"new")
    for path, kind in ((pipe, "a pipe"), (tmp_path, "a folder"), ("/dev/zero", "a device")):
        with pytest.raises(ArtifactError, match=f"cannot be read: it is {kind}"):
            load(path)
    assert stat.S_ISFIFO(pipe.lstat().st_mode)


def test_a_folder_that_cannot_be_flushed_is_no_error(tmp_path, monkeypatch):
    real = os.fsync

    def fsync(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(22, "Invalid argument")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    store(tmp_path / "a", b"x")
    assert (tmp_path / "a").read_bytes() == b"x"


def test_a_long_name_is_written_if_the_folder_takes_it(tmp_path):
    store(tmp_path / ("n" * 255), b"x")
    with pytest.raises(ArtifactError, match="name too long"):
        store(tmp_path / ("n" * 256), b"x")
    assert len(os.listdir(tmp_path)) == 1


def test_other_files_are_refused_by_their_first_bytes(tmp_path, monkeypatch):
    huge = tmp_path / "huge"
    with open(huge, "wb") as file:
        file.truncate(2**40)  # more than any memory, and no disk
    with pytest.raises(ArtifactError, match="not a compressjax artifact"):
        load(huge)
    data = dumps({})
    (tmp_path / "a.cjx").write_bytes(data)
    assert load(tmp_path / "a.cjx") == data
