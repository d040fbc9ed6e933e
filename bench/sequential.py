"""What a plain loop over beaker-py does: list the workloads, fetch one spec after another."""

import sys

from beaker import Beaker

with Beaker.from_env(check_for_upgrades=False) as beaker:
    for workload in beaker.workload.list(name_or_description=sys.argv[1]):
        if "--list-only" not in sys.argv:
            beaker.experiment.get_spec(workload.experiment)
