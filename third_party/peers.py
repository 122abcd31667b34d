"""Finds a peer, or the reason for its absence."""

import importlib
import importlib.metadata
import types
from typing import NamedTuple

NAMES = ("brotli", "constriction", "jaxpruner", "onnxruntime", "qwix", "scikit_learn", "zstandard")
# Peers that are not on a package index, and their repositories.
CHECKOUTS = {"jaxpruner": "https://github.com/google-research/jaxpruner"}

# Other distributions that an adapter imports.
NEEDS = {"onnxruntime": ("onnx",)}


class Peer(NamedTuple):
    """An installed or absent peer.

    Attributes:
        name: its folder.
        adapter: the adapter, or None when the peer is absent.
        version: installed version, or ''.
        reason: why it is absent and what installs it, or ''.
    """

    name: str
    adapter: types.ModuleType | None
    version: str
    reason: str


def load(name: str) -> Peer:
    """Imports the adapter of a peer.

    Args:
        name: one of `NAMES`.

    Returns:
        The peer, with a reason in place of an adapter when its distribution is not installed.

    Raises:
        ValueError: if there is no such peer.
    """
    if name not in NAMES:
        raise ValueError(f"peer {name!r} has no folder in third_party/; there are {', '.join(NAMES)}")
    distribution = name.replace("_", "-")
    try:
        for other in NEEDS.get(name, ()):
            importlib.metadata.version(other)
        version = importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        if name in CHECKOUTS:
            how = f"git clone {CHECKOUTS[name]} CLONE && pip install ./CLONE"
            return Peer(name, None, "", f"{distribution} is not installed, and on no package index; run: {how}")
        return Peer(name, None, "", f"{distribution} is not installed; run: pip install '.[parity]'")
    return Peer(name, importlib.import_module(f"third_party.{name}.adapter"), version, "")
