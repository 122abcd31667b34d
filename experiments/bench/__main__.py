"""Runs a study: `python -m experiments.bench --config=configs/bench_int8.py`."""

import json
import pathlib
import sys
from collections.abc import Sequence

from absl import app, flags, logging
from ml_collections import config_flags

from compressjax import recipe
from experiments.bench import harness, table
from experiments.complaints import one_line

_CONFIG = config_flags.DEFINE_config_file("config", None, "The study, for example configs/bench_int8.py.")
_OUT = flags.DEFINE_string("out", None, "Where the JSON report goes; runs/bench/STUDY.json when not given.")


def main(argv: Sequence[str]) -> None:
    """Measures, writes the report after every case, prints the tables."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown argument {argv[1]!r}; fields are set as --config.field=value")
    logging.set_verbosity(logging.ERROR)  # Orbax tells all that it does
    config = _CONFIG.value
    path = pathlib.Path(_OUT.value or f"runs/bench/{config.study}.json")
    report = {}
    try:
        recipe.refuse_url(_OUT.value or "", "--out")
        path.parent.mkdir(parents=True, exist_ok=True)
        for report in harness.run(config):
            recipe.write_file(path, json.dumps(report, indent=1) + "\n")
            if not report["complete"]:
                print(f"\r{report['rows'][-1]['case']:<78}", end="", file=sys.stderr, flush=True)
    except (ValueError, OSError) as error:
        print(f"\nerror: {one_line(error, {'--out': str(path)})}", file=sys.stderr)
        sys.exit(2)
    print(f"\r{'':<78}\r", end="", file=sys.stderr)
    print(table.render(report))
    print(f"\nwritten to {path}")


if __name__ == "__main__":
    flags.mark_flag_as_required("config")
    app.run(main)
