"""Recipes: ordered stages, cached by content, resumable after a kill."""

from compressjax.recipe._identity import canonical as canonical
from compressjax.recipe._identity import chain_keys as chain_keys
from compressjax.recipe._identity import digest as digest
from compressjax.recipe._identity import fingerprint as fingerprint
from compressjax.recipe._run import Advanced as Advanced
from compressjax.recipe._run import Began as Began
from compressjax.recipe._run import Event as Event
from compressjax.recipe._run import Finished as Finished
from compressjax.recipe._run import run as run
from compressjax.recipe._stage import Previous as Previous
from compressjax.recipe._stage import Stage as Stage
from compressjax.recipe._store import Store as Store
from compressjax.recipe._store import Stored as Stored
from compressjax.recipe._store import write_text as write_text
from compressjax.recipe._structure import pack as pack
from compressjax.recipe._structure import unpack as unpack
from compressjax.recipe._workdir import claim as claim
from compressjax.recipe._workdir import differences as differences
