"""A work directory belongs to one configuration; another one is refused by name."""

import json
from pathlib import Path
from typing import Any

from compressjax.recipe._identity import canonical
from compressjax.recipe._store import write_file

_LONGEST = 60


def differences(held: Any, asked: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    """Fields in which two nested settings differ.

    Args:
        held: JSON values.
        asked: JSON values.
        path: prefix of the names.

    Returns:
        Triples of dotted name, value in `held`, value in `asked`; a missing field shows as `None`.

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
    """Makes `workdir` and writes `config.json`, or checks that the one it has says the same.

    Args:
        workdir: folder; made if absent.
        settings: JSON values.

    Raises:
        ValueError: when the folder was made with other settings; the message names the fields.

    Example:
        >>> import tempfile
        >>> claim(tempfile.mkdtemp(), {"seed": 0})
    """
    place = Path(workdir) / "config.json"
    if place.parent.exists() and not place.parent.is_dir():
        raise ValueError(f"--workdir={workdir} is a file; name a folder")
    place.parent.mkdir(parents=True, exist_ok=True)
    asked = json.loads(canonical(settings))
    if place.exists():
        try:
            held = json.loads(place.read_text())
        except ValueError as error:
            raise ValueError(f"{place} is not JSON ({error}); delete it or choose another --workdir") from error
        found = differences(held, asked)
        if found:
            said = "; ".join(f"{name} is {_short(old)} there and {_short(new)} now" for name, old, new in found[:4])
            more = f" and {len(found) - 4} more fields" if len(found) > 4 else ""
            raise ValueError(
                f"work directory {workdir} was made with another config: {said}{more}; "
                "choose another --workdir, or run with the config it was made with"
            )
        return
    write_file(place, json.dumps(asked, indent=2, sort_keys=True) + "\n")


def _short(value: Any) -> str:
    text = "absent" if value is None else repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
