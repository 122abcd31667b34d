"""Drawings are cut from the sheet at their places, on white."""

import json

import numpy as np
import pytest
from PIL import Image

from experiments.datasets import load_emoji


def test_cells_of_the_sheet(tmp_path):
    (tmp_path / "img" / "google" / "sheets").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"has no emoji\.json; `npm pack"):
        load_emoji(str(tmp_path))
    entries = [
        {"sheet_x": 1, "sheet_y": 0, "category": "Flags", "has_img_google": True},
        {"sheet_x": 0, "sheet_y": 0, "category": "Component", "has_img_google": True},
        {"sheet_x": 0, "sheet_y": 1, "category": "Animals", "skin_variations": {"1": {"sheet_x": 1, "sheet_y": 1}}},
    ]
    (tmp_path / "emoji.json").write_text(json.dumps(entries))
    sheet = np.zeros((68, 68, 4), np.uint8)
    sheet[1:33, 35:67] = (10, 20, 30, 255)
    sheet[35:67, 35:67, 3] = 255
    Image.fromarray(sheet).save(tmp_path / "img" / "google" / "sheets" / "32.png")
    images, classes, kinds, names = load_emoji(str(tmp_path))
    assert names == ("Animals", "Flags")
    assert classes.tolist() == [1, 0, 0]
    assert kinds.tolist() == [0, 1, 1]
    assert (images[0] == (10, 20, 30)).all()
    assert (images[1] == 255).all()
    assert (images[2] == 0).all()
