"""Entropy coding, the file format and checksums, with NumPy and constriction only, without JAX.

Example:
    >>> import numpy as np
    >>> contents = loads(dumps({"layer/kernel": np.eye(3)}))
    >>> materialize(contents.leaves["layer/kernel"]).trace()
    np.float64(3.0)
"""

from compressjax.coding._array import CODECS, codec_bytes
from compressjax.coding._diff import DiffRow, diff
from compressjax.coding._dtypes import Bits
from compressjax.coding._errors import ArtifactError, UnknownNode
from compressjax.coding._file import Contents, Manifest, dumps, inspect, loads, read, write
from compressjax.coding._frame import FORMAT
from compressjax.coding._information import information_bits
from compressjax.coding._leaves import Leaves
from compressjax.coding._ledger import Ledger, LedgerRow
from compressjax.coding._materialize import materialize
from compressjax.coding._twin import register

__all__ = [
    "CODECS", "FORMAT", "ArtifactError", "Bits", "Contents", "DiffRow", "Leaves", "Ledger", "LedgerRow", "Manifest",
    "UnknownNode", "codec_bytes", "diff", "dumps", "information_bits", "inspect", "loads", "materialize", "read",
    "register", "write",
]  # fmt: skip
