"""What a store says of itself: read back as written, and never believed unread."""

import json

import pytest

from compressjax.distill.store import _about

SHA = "0123456789abcdef" * 4
SETTINGS = {"step": 0.25, "cut": 3e-4, "top": 256, "components": 0}
ABOUT = _about.About(SETTINGS, SHA, SHA[::-1], (SHA, SHA[::-1]), SHA, {})
PART = _about.Part(6, (2, 3), 0.01, SHA)


def test_it_is_read_as_it_was_written(tmp_path):
    assert _about.read_about(tmp_path) is None
    _about.begin(tmp_path, ABOUT)
    assert _about.read_about(tmp_path) == ABOUT
    for number, part in ((0, PART), (1, PART), (0, PART._replace(divergence=0.5))):
        _about.append(tmp_path, number, part)
    wanted = ABOUT._replace(parts={0: PART._replace(divergence=0.5), 1: PART})
    assert _about.read_about(tmp_path) == wanted
    whole = (tmp_path / "parts.jsonl").read_bytes()
    (tmp_path / "parts.jsonl").write_bytes(whole + b'{"batch": 1, "pos')
    assert _about.read_about(tmp_path) == wanted
    _about.mend(tmp_path)
    assert (tmp_path / "parts.jsonl").read_bytes() == whole
    _about.begin(tmp_path, ABOUT)
    assert _about.read_about(tmp_path) == ABOUT
    _about.mend(tmp_path)


@pytest.mark.parametrize(("change", "match"), [
    ({"settings": []}, "'settings' is a list, not a table"),
    ({"settings": {**SETTINGS, "step": "x"}}, "'step' is a str 'x', not a number above 0"),
    ({"settings": {**SETTINGS, "step": float("nan")}}, "'step' is a float nan"),
    ({"settings": {**SETTINGS, "components": -1}}, "'components' is a int -1"),
    ({"settings": {**SETTINGS, "top": True}}, "'top' is a bool True"),
    ({"teacher": "../../etc"}, "'teacher' is a str"),
    ({"background": None}, "'background' is a NoneType"),
    ({"data": {}}, "'data' is a dict"),
    ({"data": []}, "'data' is a list"),
])  # fmt: skip
def test_fields_are_checked_by_name(tmp_path, change, match):
    _about.begin(tmp_path, ABOUT._replace(**change))
    with pytest.raises(ValueError, match=f"store.json: .*{match}"):
        _about.read_about(tmp_path)


@pytest.mark.parametrize(("change", "match"), [
    ({"batch": 2}, "'batch' is a int 2, not below 2"), ({"batch": -1}, "'batch' is a int -1"),
    ({"positions": -6}, "'positions' is a int -6"), ({"positions": 6.0}, "'positions' is a float 6.0"),
    ({"positions": 1 << 60}, "'positions' is a int"), ({"shape": [-2, -3]}, "'shape' is a list, not sizes whose"),
    ({"shape": [2, 2]}, "product is 6"), ({"shape": [6] + [1] * 40}, "'shape' is a list"),
    ({"divergence": float("inf")}, "'divergence' is a float inf"), ({"sha256": SHA[1:]}, "'sha256' is a str"),
])  # fmt: skip
def test_lines_are_checked_by_number_and_name(tmp_path, change, match):
    _about.begin(tmp_path, ABOUT)
    _about.append(tmp_path, 0, PART)
    line = {"batch": 1, **PART._asdict(), **change}
    with open(tmp_path / "parts.jsonl", "a") as file:
        file.write(json.dumps(line) + "\n")
    with pytest.raises(ValueError, match=f"parts.jsonl: line 2: .*{match}"):
        _about.read_about(tmp_path)


@pytest.mark.parametrize(
    ("text", "match"),
    [("{", "not JSON"), ("[" * 100_000, "not JSON"), ("3", "a int 3"), ("{}", "'settings' is missing")],
)
def test_what_is_no_table_is_named(tmp_path, text, match):
    (tmp_path / "store.json").write_text(text)
    with pytest.raises(ValueError, match=f"store.json: .*{match}"):
        _about.read_about(tmp_path)
