"""Write a swarm's evaluation script from what its launcher knows, without asking Beaker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from olmix_evalscript.errors import InvalidInputError
from olmix_evalscript.model import Experiment, Task
from olmix_evalscript.script import FOLDER, Evaluation, render, script_path, today, write_script
from olmix_evalscript.swarm import build_swarm
from olmix_evalscript.tasks import OLMO3_OFFLINE_TASKS
from olmix_evalscript.text import check_group_id


def generate_eval_script(
    group_id: str,
    *,
    run_names: Sequence[str],
    user: str,
    cluster: str,
    weka: bool,
    swarm_name: str | None = None,
    output_dir: Path | str = FOLDER,
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
        EvalScriptError: If an argument does not have the form it should have, or the script cannot
            be written or would replace one that somebody edited.
    """
    check_group_id(group_id)
    for what, texts in (("run_names", run_names), ("tasks", tasks)):
        if isinstance(texts, str):
            raise InvalidInputError(f"{what} is one text: expected a list of texts")
    options = {"group-id": group_id, "cluster": cluster, "beaker-user": user, "weka": weka}
    words = ("olmix/launch/train.py", "train", *(f"--{o}={value}" for o, value in options.items()))
    experiments = [
        Experiment(
            id="",
            name=run_name,
            created=datetime.now(timezone.utc),
            status="",
            tasks=(Task((*words, f"--run-name={run_name}")),),
        )
        for run_name in run_names
    ]
    swarm = build_swarm(group_id, experiments)
    if swarm.unreadable:
        raise InvalidInputError(swarm.unreadable[0])
    swarm = replace(swarm, name=swarm_name or swarm.name)
    evaluation = Evaluation(tasks=tuple(tasks), dashboard=swarm.dashboard)
    path = script_path(group_id, output_dir)
    write_script(path, render(swarm, evaluation, today()))
    return path
