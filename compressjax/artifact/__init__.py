"""Artifact files: entropy-coded nodes, manifest, checksums, and optionally the compiled program."""

from compressjax.artifact._file import Artifact, Report, inspect, leaves, load, save, verify
from compressjax.artifact._program import export, run
from compressjax.coding import ArtifactError, Ledger, LedgerRow, Manifest, UnknownNode

__all__ = [
    "Artifact", "ArtifactError", "Ledger", "LedgerRow", "Manifest", "Report", "UnknownNode", "export", "inspect",
    "leaves", "load", "run", "save", "verify",
]  # fmt: skip
