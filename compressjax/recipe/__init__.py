"""Recipes: lists of stages, checked before they run, cached by content, resumable after an interruption."""

from compressjax.coding._lock import Lock
from compressjax.recipe._digests import DamagedError
from compressjax.recipe._files import refuse_url, write_file
from compressjax.recipe._identity import canonical, chain_keys, digest, fingerprint
from compressjax.recipe._names import make
from compressjax.recipe._open import open_grids
from compressjax.recipe._plan import Planned, label_of, plan
from compressjax.recipe._run import Advanced, Began, Event, Finished, Refused, Stopped, Waiting, run
from compressjax.recipe._stage import DivergedError, Previous, Stage
from compressjax.recipe._store import Store, Stored
from compressjax.recipe._structure import pack, unpack
from compressjax.recipe._work import Part, Work
from compressjax.recipe._workdir import claim, differences

__all__ = [
    "Advanced", "Began", "DamagedError", "DivergedError", "Event", "Finished", "Lock", "Part", "Planned", "Previous",
    "Refused", "Stage", "Stopped", "Store", "Stored", "Waiting", "Work", "canonical", "chain_keys", "claim",
    "differences", "digest", "fingerprint", "label_of", "make", "open_grids", "pack", "plan", "refuse_url", "run",
    "unpack", "write_file",
]  # fmt: skip
