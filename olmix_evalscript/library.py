"""Write a swarm's evaluation script from what its launcher knows, without asking Beaker."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from olmix_evalscript.errors import InvalidInputError
from olmix_evalscript.model import Swarm, TrainerRun, Variant
from olmix_evalscript.script import Evaluation, render, script_path, today, write_script
from olmix_evalscript.swarm import name_of, numbered
from olmix_evalscript.swarm_warnings import swarm_warnings
from olmix_evalscript.tasks import OLMO3_OFFLINE_TASKS
from olmix_evalscript.text import check_group_id
from olmix_evalscript.trainers import TRAINERS


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
        EvalScriptError: If an argument does not have the form it should have, or the script cannot
            be written or would replace one that somebody edited.
    """
    check_group_id(group_id)
    for what, texts in (("run_names", run_names), ("tasks", tasks)):
        if isinstance(texts, str):
            raise InvalidInputError(f"{what} is one text: expected a list of texts")
    runs = [TrainerRun("olmix", name, group_id, cluster, user.lower(), weka) for name in run_names]
    variants = _variants(runs)
    name, warnings = swarm_name or name_of(variants), swarm_warnings(variants, variants)
    swarm = Swarm(group_id, name, variants, tuple(warnings))
    evaluation = Evaluation(tasks=tuple(tasks), dashboard=f"olmix-{group_id}")
    path = script_path(Path(output_dir), group_id)
    write_script(path, render(swarm, evaluation, today()))
    return path


def _variants(runs: Sequence[TrainerRun]) -> tuple[Variant, ...]:
    """The variants that train these runs now, in order."""
    numbers = numbered(runs)
    now = datetime.now(timezone.utc)
    variants = []
    for run in sorted(runs, key=lambda run: (numbers[run.run_name], run.run_name)):
        directory = TRAINERS[run.trainer].directory(
            cluster=str(run.cluster), weka=run.weka, launched=now
        )
        directory = directory.format(user=run.user, run_name=run.run_name)
        variants.append(Variant(numbers[run.run_name], run, directory))
    return tuple(variants)
