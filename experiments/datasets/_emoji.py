"""Drawings in color with nine unequal classes: the emoji of Google's Noto, 32 x 32 pixels."""

import json
import os
from typing import NamedTuple

import numpy as np

_CELL = 34  # a drawing with a margin of one pixel


class Emoji(NamedTuple):
    """The drawings.

    Attributes:
        images: `[n, 32, 32, 3]`, uint8, on white.
        classes: `[n]`, integers from 0.
        kinds: `[n]`, alike for one emoji in all colors of the skin, which belong to one side of a split.
        names: of the classes, in alphabetical order.
    """

    images: np.ndarray
    classes: np.ndarray
    kinds: np.ndarray
    names: tuple[str, ...]


def load_emoji(path: str) -> Emoji:
    """Reads the package `emoji-datasource-google` of npm.

    Args:
        path: folder of the unpacked package, with `emoji.json`.

    Returns:
        The drawings, in the order of the package.

    Raises:
        ValueError: if the files are absent.
    """
    listed, sheet = os.path.join(path, "emoji.json"), os.path.join(path, "img", "google", "sheets", "32.png")
    for place in (listed, sheet):
        if not os.path.exists(place):
            raise ValueError(
                f"--config.data.path={path!r} has no {os.path.relpath(place, path)}; `npm pack "
                "emoji-datasource-google@16.0.0 && tar xzf emoji-datasource-google-16.0.0.tgz` puts it into package"
            )
    from PIL import Image

    with open(listed, encoding="utf-8") as file:
        entries = [entry for entry in json.load(file) if entry["category"] != "Component"]
    places = [
        (drawing["sheet_x"], drawing["sheet_y"], kind)
        for kind, entry in enumerate(entries)
        for drawing in (entry, *entry.get("skin_variations", {}).values())
        if drawing.get("has_img_google", True)
    ]
    with Image.open(sheet) as image:
        drawn = image.convert("RGBA")
    white = Image.new("RGBA", drawn.size, (255, 255, 255, 255))
    pixels = np.asarray(Image.alpha_composite(white, drawn).convert("RGB"))
    found = [pixels[_CELL * y + 1 : _CELL * y + 33, _CELL * x + 1 : _CELL * x + 33] for x, y, _ in places]
    kinds = np.array([kind for *_, kind in places])
    names, classes = np.unique([entry["category"] for entry in entries], return_inverse=True)
    return Emoji(np.stack(found), classes[kinds].astype(np.int64), kinds, tuple(map(str, names)))
