"""Examples one by one: lists, grain, and the access of tensorflow-datasets."""

import grain
import numpy as np
import pytest
import tensorflow_datasets as tfds

from compressjax import data
from experiments.datasets.digits import Digits

EXAMPLES = [{"image": np.full((2, 2, 1), i, np.uint8), "label": i % 3} for i in range(7)]


class Source:
    """Random access as in `as_data_source`: lists of places, and no iteration."""

    def __len__(self):
        return len(EXAMPLES)

    def __getitem__(self, i):
        return EXAMPLES[i]

    def __getitems__(self, places):
        return [EXAMPLES[i] for i in places]


@pytest.mark.parametrize(
    "examples",
    [EXAMPLES, Source(), grain.MapDataset.source(EXAMPLES), grain.MapDataset.source(EXAMPLES).to_iter_dataset()],
    ids=["list", "random access", "grain map", "grain iteration"],
)
def test_examples_become_rows(examples):
    batches = data.example_batches(examples, "image", labels="label", size=3)
    for _ in range(2):
        parts = list(batches)
        assert [len(x) for x, _ in parts] == [3, 3, 1]
        np.testing.assert_array_equal(np.concatenate([x for x, _ in parts]), np.arange(7)[:, None] * np.ones((1, 4)))
        np.testing.assert_array_equal(np.concatenate([y for _, y in parts]), np.arange(7) % 3)


def test_what_is_wrong_is_named_by_example():
    with pytest.raises(ValueError, match=r"example 0 has no part 'picture'; it has \['image', 'label'\]"):
        list(data.example_batches(EXAMPLES, "picture"))
    uneven = [(np.ones(2), 0), (np.ones(2), 0), (np.ones(3), 0)]
    with pytest.raises(ValueError, match=r"0 of example 2 has shape \(3,\), that of example 0 \(2,\)"):
        list(data.example_batches(uneven, 0))
    with pytest.raises(ValueError, match="size=0"):
        data.example_batches(EXAMPLES, "image", size=0)


@pytest.mark.thorough
def test_records_of_tensorflow_datasets_are_read(tmp_path):
    tfds.disable_progress_bar()
    builder = Digits(data_dir=tmp_path, file_format="array_record")
    builder.download_and_prepare()
    source = builder.as_data_source("test")
    batches = data.example_batches(source, "image", labels="label", size=256)
    assert sum(len(y) for _, y in batches) == 540
    x, y = next(iter(batches))
    np.testing.assert_array_equal(x[3], source[3]["image"].ravel())
    assert y[3] == source[3]["label"]
    assert data.fit(data.select_chi2(5, 10), batches).places.shape == (5,)
