"""Data sets: our own tensorflow-datasets builders (TensorFlow is never imported), loaded into plain arrays."""

from experiments.datasets._emoji import load_emoji as load_emoji
from experiments.datasets._load import Dataset as Dataset
from experiments.datasets._load import load as load
from experiments.datasets._load import white as white
from experiments.datasets._order import batch_indices as batch_indices
from experiments.datasets._order import drawn_rows as drawn_rows
from experiments.datasets._ratings import Ratings as Ratings
from experiments.datasets._ratings import load_ratings as load_ratings
from experiments.datasets._tables import TABLES as TABLES
from experiments.datasets._tables import Table as Table
from experiments.datasets._tables import load_table as load_table
