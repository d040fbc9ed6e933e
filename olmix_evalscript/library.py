"""What a launcher knows of the swarm it just submitted in, the evaluation script's path out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timezone
from pathlib import Path

from olmix_evalscript.errors import InvalidInputError
from olmix_evalscript.model import Experiment, Task
from olmix_evalscript.script import Evaluation, render, write_script
from olmix_evalscript.swarm import build_swarm
from olmix_evalscript.tasks import OLMO3_OFFLINE_TASKS
from olmix_evalscript.text import check_group_id, check_name, shown


def generate_eval_script(
    group_id: str,
    *,
    run_names: Sequence[str],
    user: str,
    cluster: str,
    weka: bool,
    swarm_name: str | None = None,
    output_dir: Path | str = "output/eval_scripts",
    tasks: Sequence[str] = OLMO3_OFFLINE_TASKS,
) -> Path:
    """Write the evaluation script of a swarm that olmix launches, without asking Beaker.

    The script is the one that ``olmix-evalscript generate`` makes of the same swarm later.

    Args:
        group_id: The swarm's group, 8 characters of a UUID.
        run_names: One for each variant, none twice.
        user: Beaker user, in upper or lower case.
        cluster: As in the launch config, such as ``ai2/jupiter-cirrascale-2``.
        weka: Whether the launch config asks for Weka.
        swarm_name: For the script's header; by default what the run names begin with.
        output_dir: Folder of the script ``olmix-{group_id}.sh``; made if missing.
        tasks: Task names, as olmo-cookbook-eval takes them.

    Returns:
        The path of the script.

    Raises:
        InvalidInputError: If an argument cannot be meant, or the script cannot be written: also
            where it would replace one that somebody edited, or one for other tasks.
    """
    check_group_id(group_id)
    for what, texts in (("run_names", run_names), ("tasks", tasks)):
        if isinstance(texts, str):
            raise InvalidInputError(f"{what} is one text: expected a list of texts")
    for run_name, count in Counter(run_names).items():
        if count > 1:
            raise InvalidInputError(f"the run name {shown(run_name)} is given twice")
    launched = datetime.now(timezone.utc)
    experiments = []
    for run_name in run_names:
        check_name("run name", run_name)
        run = ("olmix/launch/train.py", "train", "-n", run_name, "-g", group_id)
        experiments.append(
            Experiment(
                id="",
                name=run_name,
                author=user,
                workspace="",
                created=launched,
                status="",
                tasks=(Task((*run, "-c", cluster, "-u", user, "-w", str(weka))),),
            )
        )
    swarm = build_swarm(group_id, experiments)
    if swarm.unreadable:
        raise InvalidInputError(swarm.unreadable[0])
    if swarm_name is not None:
        swarm = replace(swarm, name=check_name("swarm name", swarm_name))
    evaluation = Evaluation(tasks=tuple(tasks), dashboard=f"olmix-{group_id}")
    path = script_path(Path(output_dir), group_id)
    write_script(path, render(swarm, evaluation, today()))
    return path


def script_path(output_dir: Path, group_id: str) -> Path:
    """Where the script of a group lies."""
    return output_dir / f"olmix-{group_id}.sh"


def today() -> date:
    """The day in UTC, or the one that SOURCE_DATE_EPOCH sets.

    Raises:
        InvalidInputError: If SOURCE_DATE_EPOCH is not a number of seconds.
    """
    seconds = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        if seconds:
            return datetime.fromtimestamp(int(seconds), timezone.utc).date()
    except (ValueError, OverflowError, OSError):
        raise InvalidInputError(
            f"SOURCE_DATE_EPOCH is {seconds!r}: expected seconds since 1970, or nothing"
        ) from None
    return datetime.now(timezone.utc).date()
