"""A work directory belongs to one configuration; another one is refused."""

import json
from pathlib import Path
from typing import Any

from compressjax.recipe._files import refuse_url, write_file
from compressjax.recipe._identity import canonical

_LONGEST = 60


def differences(held: Any, asked: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    """Returns the fields in which two nested settings differ.

    Args:
        held: JSON values.
        asked: JSON values.
        path: Prefix of the names.

    Returns:
        Triples of dotted name, value in `held` and value in `asked`; a missing field is `None`.

    Example:
        >>> differences({"a": [{"b": 1}]}, {"a": [{"b": 2}], "c": 3})
        [('a[0].b', 1, 2), ('c', None, 3)]
    """
    if isinstance(held, list) and isinstance(asked, list) and len(held) == len(asked):
        rows = (differences(a, b, f"{path}[{i}]") for i, (a, b) in enumerate(zip(held, asked)))
        return [row for found in rows for row in found]
    if not (isinstance(held, dict) and isinstance(asked, dict)):
        return [] if held == asked else [(path, held, asked)]
    found = []
    for key in sorted(held.keys() | asked.keys()):
        name = f"{path}.{key}" if path else key
        found += differences(held.get(key), asked.get(key), name)
    return found


def claim(workdir: str, settings: dict[str, Any]) -> None:
    """Creates `workdir` with a `config.json`, or checks an existing one against the settings.

    Args:
        workdir: Folder; created if absent.
        settings: JSON values.

    Raises:
        ValueError: If the folder has other settings, the message names the fields; or it is no folder.

    Example:
        >>> import tempfile
        >>> claim(tempfile.mkdtemp(), {"seed": 0})
    """
    refuse_url(workdir, "--workdir")
    place = Path(workdir) / "config.json"
    if place.parent.exists() and not place.parent.is_dir():
        raise ValueError(f"--workdir={workdir} is a file; name a folder")
    if place.parent.is_symlink() and not place.parent.exists():
        raise ValueError(
            f"--workdir={workdir} is a link to {place.parent.readlink()}, which does not exist; "
            "make that folder or name another"
        )
    place.parent.mkdir(parents=True, exist_ok=True)
    wanted = json.loads(canonical(settings))
    if place.exists():
        try:
            held = json.loads(place.read_text())
        except ValueError as error:
            raise ValueError(
                f"{place} is damaged: it is not JSON ({error}); choose another --workdir, and read the checkpoints "
                f"of this one with --cache={Path(workdir) / 'checkpoints'}"
            ) from error
        found = differences(held, wanted)
        if found:
            fields = "; ".join(f"{name} is {_short(old)} there and {_short(new)} now" for name, old, new in found[:4])
            more = f" and {len(found) - 4} more fields" if len(found) > 4 else ""
            raise ValueError(f"work directory {workdir} has another config: {fields}{more}; choose another --workdir")
        return
    write_file(place, json.dumps(wanted, indent=2, sort_keys=True) + "\n")


def _short(value: Any) -> str:
    text = "absent" if value is None else repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
