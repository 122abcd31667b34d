"""Recipes: lists of stages, checked before they run, cached by content, resumable after an interruption."""

from compressjax.recipe._identity import canonical, chain_keys, digest, fingerprint
from compressjax.recipe._names import make
from compressjax.recipe._open import open_grids
from compressjax.recipe._plan import Planned, label_of, plan
from compressjax.recipe._run import Advanced, Began, Event, Finished, run
from compressjax.recipe._stage import Previous, Stage
from compressjax.recipe._store import Store, Stored, write_file
from compressjax.recipe._structure import pack, unpack
from compressjax.recipe._work import Part, Work
from compressjax.recipe._workdir import claim, differences

__all__ = [
    "Advanced", "Began", "Event", "Finished", "Part", "Planned", "Previous", "Stage", "Store", "Stored", "Work",
    "canonical", "chain_keys", "claim", "differences", "digest", "fingerprint", "label_of", "make", "open_grids",
    "pack", "plan", "run", "unpack", "write_file",
]  # fmt: skip
