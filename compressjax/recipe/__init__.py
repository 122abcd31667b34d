"""Recipes: ordered stages, cached by content, resumable after a kill."""

from compressjax.recipe._identity import canonical, chain_keys, digest, fingerprint
from compressjax.recipe._run import Advanced, Began, Event, Finished, run
from compressjax.recipe._stage import Previous, Stage
from compressjax.recipe._store import Store, Stored, write_file
from compressjax.recipe._structure import pack, unpack
from compressjax.recipe._workdir import claim, differences

__all__ = [
    "Advanced",
    "Began",
    "Event",
    "Finished",
    "Previous",
    "Stage",
    "Store",
    "Stored",
    "canonical",
    "chain_keys",
    "claim",
    "differences",
    "digest",
    "fingerprint",
    "pack",
    "run",
    "unpack",
    "write_file",
]
