"""Patterns of any stage are refused before the first one trains."""

import pytest

from experiments.stages.patterns import check_patterns
from tests.experiments import tiny

pytestmark = pytest.mark.loose


def config(**changed):
    fields = tiny.get_config().to_dict()
    for name, value in changed.items():
        stage, _, field = name.partition("__")
        fields[stage] = {**fields[stage], field: value} if field else value
    return fields


def test_the_config_as_it_is_passes(problem):
    check_patterns(problem, config())


def test_patterns_may_name_what_earlier_stages_leave(problem):
    check_patterns(problem, config(qat__rules=((".*Dense_0/kernel/left", 4, "tensor"),)))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"prune__sparsity": (("Dense_9/kernel", 0.5),)}, "--config.prune.sparsity.*Dense_9.*Dense_0/kernel"),
        ({"factorize__select": "nothing"}, "--config.factorize.select"),
        ({"qat__rules": (("[", 4, "tensor"),)}, "--config.qat.rules.*no regular expression"),
        ({"share__rules": (("kernel", 6),)}, "--config.share.rules"),
        ({"encode__rules": (("bias", 8, None),)}, "--config.encode.rules"),
    ],
)
def test_a_pattern_that_matches_nothing_names_its_field(problem, changed, said):
    with pytest.raises(ValueError, match=said):
        check_patterns(problem, config(**changed))


def test_stages_that_are_left_out_are_not_asked(problem):
    check_patterns(problem, config(share__rules=(("kernel", 6),), skip=("share",)))
