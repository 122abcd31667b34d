"""A problem that trains in a second."""

import pytest

from experiments.app import make_mesh
from experiments.problem import Problem, make_problem
from tests.experiments import tiny


@pytest.fixture(scope="session")
def data_cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of data records that no other run has touched."""
    return str(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def problem(data_cache: str) -> Problem:
    """The digits and a network with 32 hidden units."""
    return make_problem(tiny.get_config().to_dict(), data_cache, make_mesh(1))
