"""Files are replaced whole, whatever their names and whatever stands there."""

import errno
import os
import stat
import threading

import pytest

from compressjax import recipe
from compressjax.coding._whole import flush_folder


def test_text_is_replaced_whole(tmp_path, monkeypatch):
    place = tmp_path / "a.txt"
    recipe.write_file(place, "old")

    def fail(*args):
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr("compressjax.recipe._files.os.replace", fail)
    with pytest.raises(OSError, match=r"disk full: '.*/a\.txt'"):
        recipe.write_file(place, "new")
    assert place.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("name", ["a" * 255, "é" * 127])
def test_the_longest_name_that_the_system_allows_is_written(tmp_path, name):
    recipe.write_file(tmp_path / name, "text")
    assert (tmp_path / name).read_text() == "text"


def test_links_permissions_and_pipes_stay(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "a").write_text("old")
    os.chmod(tmp_path / "there" / "a", 0o600)
    (tmp_path / "link").symlink_to("there/a")
    recipe.write_file(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "a").read_text() == "new"
    assert stat.S_IMODE((tmp_path / "there" / "a").stat().st_mode) == 0o600
    os.mkfifo(tmp_path / "pipe")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_text()))
    reader.start()
    recipe.write_file(tmp_path / "pipe", "through")
    reader.join()
    assert read == ["through"]
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@pytest.mark.parametrize("place", ["gs://bucket/run/a", "s3://b/a", "https://host/a"])
def test_urls_are_refused(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for use in (
        lambda: recipe.write_file(place, ""),
        lambda: recipe.claim(place, {}),
        lambda: recipe.Store(place).save("k/a", {}, {}),
    ):
        with pytest.raises(ValueError, match="is a URL; .* mount it"):
            use()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("place", ["run:a", "a::b", "C:/run"])
def test_colons_alone_are_no_url(place):
    assert recipe.refuse_url(place, "--workdir") is None


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_what_cannot_be_synchronized_is_written(tmp_path, monkeypatch, code):
    def fail(handle):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("compressjax.recipe._files.os.fsync", fail)
    flush_folder(tmp_path)
    recipe.write_file(tmp_path / "a", "text")
    store = recipe.Store(str(tmp_path))
    store.save("k/a", {"x": 1}, {})
    assert (tmp_path / "a").read_text() == "text"
    assert store.load("k/a").tree == {"x": 1}


def test_a_disk_that_fails_while_it_synchronizes_is_said(tmp_path, monkeypatch):
    def fail(handle):
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr("compressjax.recipe._files.os.fsync", fail)
    with pytest.raises(OSError, match="input/output error"):
        recipe.write_file(tmp_path / "a", "text")
    assert os.listdir(tmp_path) == []
