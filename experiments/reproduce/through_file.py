"""A tree as its file gives it back."""

import os
import tempfile
from typing import Any

from compressjax import artifact


def through_file(tree: Any) -> tuple[Any, int]:
    """The tree that the file of a tree is read as, and the bytes of the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.cjx")
        size = artifact.save(path, tree).ledger.file_bytes
        return artifact.load(path).tree, size
