"""A package that is absent is named, with what needs it and what to do."""

import json

import pytest

from experiments import packages


def test_modules_and_absent_packages():
    assert packages.need("json", "nothing", "") is json
    with pytest.raises(ValueError, match=r"--flag needs the package no_such \(No module named 'no_such'\); install it"):
        packages.need("no_such.part", "--flag", "install it")
