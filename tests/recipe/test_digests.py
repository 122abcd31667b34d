"""A sealed folder is as it was written, to the bit."""

import hashlib
import random
import shutil
import subprocess

import pytest

from compressjax.recipe import DamagedError
from compressjax.recipe._digests import SUMS, check, seal


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "arrays" / "0").mkdir(parents=True)
    (tmp_path / "arrays" / "0" / "0.0").write_bytes(bytes(range(64)))
    (tmp_path / "meta.json").write_text('{"facts": {}}')
    seal(tmp_path)
    return tmp_path


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="the command is not installed")
def test_the_sums_are_those_of_sha256sum(folder):
    check(folder)
    digest = hashlib.sha256(bytes(range(64))).hexdigest()
    assert f"{digest}  arrays/0/0.0\n" in (folder / SUMS).read_text()
    done = subprocess.run(["sha256sum", "--check", "--strict", SUMS], cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0


def test_every_flipped_bit_is_found_and_its_file_is_named(folder):
    draw = random.Random(0)
    for name in ("arrays/0/0.0", "meta.json", SUMS):
        place = folder / name
        whole = place.read_bytes()
        for bit in draw.sample(range(8 * len(whole)), 60):
            damaged = bytearray(whole)
            damaged[bit // 8] ^= 1 << bit % 8
            place.write_bytes(damaged)
            with pytest.raises(DamagedError, match=str(folder) if name == SUMS else f"{place} is damaged"):
                check(folder)
        place.write_bytes(whole)
    check(folder)


def test_missing_and_added_files_are_named(folder):
    (folder / "arrays" / "more").write_text("")
    with pytest.raises(DamagedError, match="arrays/more"):
        check(folder)
    (folder / "arrays" / "more").unlink()
    (folder / "arrays" / "0" / "0.0").unlink()
    with pytest.raises(DamagedError, match=r"arrays/0/0\.0"):
        check(folder)


def test_a_folder_of_an_older_version_is_not_trusted(folder):
    (folder / SUMS).unlink()
    with pytest.raises(DamagedError, match="has no SHA256SUMS: an older version wrote it"):
        check(folder)
