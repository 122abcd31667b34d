"""An error is one line that names the file, what is wrong and the flag that helps."""

import errno
import os
import re

import pytest

from experiments.complaints import one_line

FOLDERS = {"--workdir": "/runs/a", "--cache": "/runs/a/cache", "--data_cache": ""}


@pytest.mark.parametrize(
    ("code", "place", "said"),
    [
        (errno.ENOSPC, "/runs/a/x", "/runs/a/x: No space left on device; free space there, .* with --workdir"),
        (errno.EROFS, "/runs/a/cache/x", "Read-only file system; make it writable, .* with --cache"),
        (errno.EFBIG, "/runs/a/x", "File too large; raise the limit .*ulimit"),
        (errno.ENAMETOOLONG, "/runs/a/x", "File name too long; name a shorter one with --workdir"),
        (
            errno.ENOENT,
            "/elsewhere",
            "/elsewhere: No such file .* with --workdir or --cache or --data_cache",
        ),
        (errno.EBADF, "/runs/a/x", "Bad file descriptor; if it stays, name a folder on another disk with --workdir"),
    ],
)
def test_errors_of_the_system_name_the_flag(code, place, said):
    text = one_line(OSError(code, os.strerror(code), place), FOLDERS)
    assert "\n" not in text
    assert re.search(said, text)


def test_a_link_to_nothing_says_where_it_leads(tmp_path):
    (tmp_path / "link").symlink_to("nowhere")
    error = FileExistsError(errno.EEXIST, "File exists", str(tmp_path / "link"))
    assert "link is a link to nowhere, which does not exist" in one_line(error, {"--cache": str(tmp_path)})
    assert one_line(error, {"--cache": str(tmp_path)}).endswith("with --cache")


def test_other_errors_lose_their_line_breaks():
    assert one_line(ValueError("a\n  b"), {}) == "a b"
    assert one_line(KeyError("'sed'"), {}) == "the config has no such field: sed"
