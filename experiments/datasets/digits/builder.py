"""Builder of the digits: 1,797 images of 8 x 8 pixels, with a fixed split."""

from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds

SPLIT_SEED = 0
TEST_FRACTION = 0.3


class Digits(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Optical recognition of handwritten digits (Alpaydin and Kaynak, UCI, 1998): the test part that scikit-learn has.

    The split is stratified and fixed: 70 % of each class trains, 30 % tests. Pixels run from 0 to 16.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Stratified split, 1,257 to train and 540 to test."}  # noqa: RUF012

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Tensor(shape=(8, 8, 1), dtype=np.uint8),
                    "label": tfds.features.ClassLabel(num_classes=10),
                }
            ),
            supervised_keys=("image", "label"),
            homepage="https://scikit-learn.org/stable/modules/generated/sklearn.datasets.load_digits.html",
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        # Import late: scikit-learn takes a second to import and is needed only to write the records.
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        digits = load_digits()
        rows = np.arange(len(digits.target))
        train, test = train_test_split(rows, test_size=TEST_FRACTION, random_state=SPLIT_SEED, stratify=digits.target)
        images = digits.images.astype(np.uint8)[..., None]
        return {
            name: self._generate_examples(images, digits.target, np.sort(part))
            for name, part in (("train", train), ("test", test))
        }

    def _generate_examples(self, images: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> Iterator:
        for row in rows:
            yield int(row), {"image": images[row], "label": int(labels[row])}
