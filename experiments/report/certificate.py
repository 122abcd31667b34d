"""The certificate of a file: what its length and its errors on the training rows say about new rows."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from compressjax import theory


class Terms(NamedTuple):
    """What the files do not say.

    Attributes:
        iid: Whether rows and new rows are independent draws from one distribution.
        tried: How many settings were compared on the training rows, at least 1.
        delta: Probability that the bound fails.
    """

    iid: bool = True
    tried: int = 1
    delta: float = 0.05


def certificate(
    file_bytes: int, training: Mapping[str, Any], trained_on: str, classes: int, terms: Terms
) -> dict[str, Any]:
    """A certificate as JSON values.

    Args:
        file_bytes: Length of the file.
        training: `errors`, `examples` and `fingerprint` of the rows on which the reloaded file was run.
        trained_on: Fingerprint of the rows that the model was chosen by.
        classes: Number of classes; a guess is wrong in all but one of them.
        terms: What the user says of the data and the choice.

    Returns:
        The bound with all that it rests on; `refused`, with the reason, where no theorem holds.
    """
    try:
        length = theory.description_length(8 * file_bytes, tried=terms.tried)
        wrong = np.arange(training["examples"]) < training["errors"]
        found = theory.certify(length, wrong, iid=terms.iid, trained_on=trained_on,
                               measured_on=training["fingerprint"], delta=terms.delta)  # fmt: skip
    except ValueError as error:
        return {"refused": str(error)}
    return {
        "bound": found.bound,
        "says": "a bound" if found.bound < 1 - 1 / classes else "nothing: a guess does as well",
        "confidence": 1 - found.delta,
        "training": {"errors": found.errors, "examples": found.examples},
        "bits": found.length._asdict(),
        "bounds": dict(found.bounds),
        "assumes": list(found.assumptions),
    }
