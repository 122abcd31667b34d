"""Finished steps on disk, each one file, so that a killed calibration goes on where it was."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from compressjax import artifact
from compressjax.calibration._steps import Step
from compressjax.coding import ArtifactError


class Finished(NamedTuple):
    """A step that was read back: leaves by path, and the reasons of those that were left out."""

    leaves: dict[str, Any]
    left: dict[str, str]


class Folder(NamedTuple):
    """A folder of steps, and the digests of all that they follow from."""

    root: Path
    digests: Mapping[str, str]

    def load(self, number: int, step: Step) -> Finished | None:
        """A finished step; None if it is not there. Raises `ValueError` if it belongs to another calibration."""
        place = self._place(number)
        if not place.exists():
            return None
        try:
            found = artifact.load(place)
        except ArtifactError as error:
            raise ValueError(f"calibrate: {place} is damaged ({error}); delete it, to do this step again") from error
        facts = dict(found.manifest.metadata)
        other = [name for name, digest in self.digests.items() if facts.get("digests", {}).get(name) != digest]
        if other or tuple(facts["step"]) != step:
            raise ValueError(
                f"calibrate: {place} is of a calibration with other {', '.join(other) or 'steps'}; give an empty "
                "folder, or the same arguments as before"
            )
        leaves = {path: found.tree[f"{i:06d}"] for i, path in enumerate(facts["leaves"])}
        return Finished(leaves, dict(facts["left"]))

    def save(self, number: int, step: Step, finished: Finished) -> Finished:
        """Writes a step as a whole, and returns what will be read."""
        self.root.mkdir(parents=True, exist_ok=True)
        facts = {"digests": dict(self.digests), "step": list(step), "leaves": list(finished.leaves),
                 "left": finished.left}  # fmt: skip
        tree = {f"{i:06d}": x for i, x in enumerate(finished.leaves.values())}
        artifact.save(self._place(number), tree, metadata=facts, allow_nonfinite=True)
        # Entries under a mask are not stored, so what is read may differ from what was made, and has to come next.
        return self.load(number, step) or finished

    def _place(self, number: int) -> Path:
        return self.root / f"{number:06d}.cjx"
