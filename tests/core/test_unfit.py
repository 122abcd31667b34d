"""Leaves that do not fit are named all at once."""

import pytest

from compressjax.core._unfit import UnfitError, check_unfit, each, left_out, warn_left_out


def test_every_leaf_that_does_not_fit_is_named():
    def act(path):
        if path.startswith("bad"):
            raise UnfitError("inner", {path: "too short"})
        return path.upper()

    assert each("who", ["a", "b"], act) == {"a": "A", "b": "B"}
    with pytest.raises(UnfitError, match="who: 'bad': too short; 'bad2': too short; leave them out with") as error:
        each("who", ["a", "bad", "b", "bad2"], act)
    assert error.value.reasons == {"bad": "too short", "bad2": "too short"}
    with pytest.raises(UnfitError, match="and 3 more"):
        each("who", [f"bad{i}" for i in range(7)], act)


def test_other_errors_pass_at_once():
    with pytest.raises(ZeroDivisionError):
        each("who", ["a"], lambda path: 1 // 0)


def test_the_table():
    assert left_out({"a": "x", "long/path": "y"}).splitlines() == ["  a          x", "  long/path  y"]
    warn_left_out({})  # nothing to say
    with pytest.raises(ValueError, match="unfit=None; use 'skip'"):
        check_unfit(None)
