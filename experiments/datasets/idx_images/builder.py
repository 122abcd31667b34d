"""Builder of a data set of gray images from idx files."""

from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds

from experiments.datasets.idx_images.reader import find_files, read_idx


class IdxImages(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """MNIST (LeCun et al., 1998), Fashion-MNIST (Xiao et al., arXiv:1708.07747) or any other set in their format.

    Args:
        folder: folder of the four idx files.
        remedy: command that installs them, for messages.
        **kwargs: passed on; `config` is the name under which the records are kept.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Bytes as they are in the files."}  # noqa: RUF012
    BUILDER_CONFIGS = [  # noqa: RUF012
        tfds.core.BuilderConfig(name=name, version="1.0.0") for name in ("mnist", "fashion_mnist")
    ]

    def __init__(self, *, folder: str, remedy: str, **kwargs: object) -> None:
        self._folder, self._remedy = folder, remedy
        super().__init__(**kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Tensor(shape=(28, 28, 1), dtype=np.uint8),
                    "label": tfds.features.ClassLabel(num_classes=10),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        files = find_files(self._folder, self._remedy)
        return {split: self._generate_examples(*places) for split, places in files.items()}

    def _generate_examples(self, images: object, labels: object) -> Iterator:
        for row, (image, label) in enumerate(zip(read_idx(images)[..., None], read_idx(labels), strict=True)):
            yield row, {"image": image, "label": int(label)}
