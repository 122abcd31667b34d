"""Images in the idx files of MNIST and similar data sets, read from a folder on disk."""

from experiments.datasets.idx_images.builder import IdxImages as IdxImages
from experiments.datasets.idx_images.reader import find_files as find_files
