"""Texts: the command prints a true table, counts the decoder, and names what it cannot read."""

import bz2
import gzip
import lzma
import pathlib
import subprocess
import sys

import pytest

from compressjax.theory.lossless import _logistic
from experiments import byte_network, text, text_files

pytestmark = pytest.mark.loose


def test_a_row_holds_the_bytes_of_each(tmp_path):
    data = (b"It was the best of times, it was the worst of times. " * 20)[:900]
    (tmp_path / "t.gz").write_bytes(gzip.compress(data))
    assert text_files.read(str(tmp_path / "t.gz"), 700) == data[:700]
    row = text.measured("t", data, text.contexts(2))
    assert row["xz -9e"] == len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))
    assert row["bzip2 -9"] == len(bz2.compress(data))
    assert row["ours"] < row["bzip2 -9"]
    assert row["ours + decoder"] == row["ours"] + row["decoder"]
    assert row["decoder"] == text.decoder_bytes(text.contexts(2)) > 2000
    made: dict = {}
    exec(text.bare(pathlib.Path(_logistic.__file__).read_text()), made)  # what is left still runs
    assert [int(made["squash"](x)) for x in (-300, 700)] == [int(_logistic.squash(x)) for x in (-300, 700)]
    assert f"| t | 900 | {row['ours']} |" in text_files.table([row], text.COLUMNS)


def test_a_network_that_learns_while_it_codes_beats_its_own_beginning(monkeypatch):
    for name, value in (("WIDTH", 16), ("EMBEDDING", 4), ("TABLE_BITS", 6), ("MATCH_BITS", 8)):
        monkeypatch.setattr(byte_network, name, value)
    data = b"It was the best of times, it was the worst of times. " * 15
    row = text.measured("t", data, text.network(2))  # which compares what comes back
    assert row["ours"] < 0.6 * len(data)
    assert row["decoder"] == text.decoder_bytes(text.network(3)) > 2000


def test_what_cannot_be_read_is_named(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    for name, said in ((tmp_path / "none", "cannot be read"), (tmp_path / "empty", "is empty")):
        with pytest.raises(ValueError, match=said):
            text_files.read(str(name), 10)
    (tmp_path / "short").write_bytes(b"short")
    root = pathlib.Path(__file__).parents[2]
    for flags, said in (
        ([f"--files={tmp_path / 'none'}"], "cannot be read"),
        ([f"--files={tmp_path / 'short'}", "--coder=network"], "--network_streams=8 is more than the 5 bytes"),
    ):
        command = [sys.executable, "-m", "experiments.text", *flags, f"--workdir={tmp_path}"]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert said in done.stderr
