"""Warn about what is odd in a swarm's variants."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from olmix_evalscript.errors import TrainerCommandError
from olmix_evalscript.evaluator import cluster_name
from olmix_evalscript.model import TrainerRun, Variant
from olmix_evalscript.text import shown, variants_named


def _settings(run: TrainerRun) -> dict[str, str]:
    """What all variants of a swarm share; one that differs poisons the fit as a wrong checkpoint
    does."""
    given = {option: value for option, value in run.settings.items() if value}
    of = defaultdict(lambda: "none", given)
    multiple = given.get("chinchilla-multiple")  # of 20 tokens a parameter, written as 0.5xC
    return {
        "model": of["model-identifier"],
        "length": f"{multiple}xC" if multiple else of["max-tokens"],
        "sequence length": of["sequence-length"],
        "tokenizer": of["tokenizer"],
        "dtype": of["dtype"],
        "train type": of["train-type"],
        "global batch size": of["global-batch-size"],
        "start checkpoint": of["checkpoint-path"],
        "seed": of["seed"],
    }


def _mixture(run: TrainerRun) -> object:
    try:
        return tuple((source.name, source.ratio, source.repetition) for source in run.sources)
    except TrainerCommandError:
        return run.source_literals


def differences(runs: Sequence[TrainerRun]) -> list[str]:
    """The settings in which launches of one run differ, though they save to one directory."""
    rows = [{**_settings(run), "mixture": _mixture(run)} for run in runs]
    return [what for what in rows[0] if len({row[what] for row in rows}) > 1]


def swarm_warnings(found: Sequence[Variant], kept: Sequence[Variant]) -> list[str]:
    """Collect the warnings about a swarm, a line each.

    Args:
        found: All variants of the swarm, in order.
        kept: Those with the wanted status.
    """
    warnings: list[str] = []
    missing = set(range(max((v.number for v in found), default=-1))) - {v.number for v in found}
    if missing:
        warnings.append(f"no experiment was found for {variants_named(missing)}")
    for variant in kept:
        number = variant.run.split_name()[1]
        if number not in (None, variant.number):
            warnings.append(
                f"more than one run has the number {number}: {shown(variant.run_name)} got "
                f"{variant.number}"
            )
    rows = {variant.number: _shared(variant) for variant in kept}
    for what in next(iter(rows.values()), {}):
        warnings += _more_than_one(what, {number: row[what] for number, row in rows.items()})
    numbers = {
        status: [v.number for v in kept if v.status == status] for status in ("failed", "canceled")
    }
    for variant in kept:
        for note in variant.notes:
            numbers.setdefault(note, []).append(variant.number)
    warnings += [f"{variants_named(some)}: {text}" for text, some in numbers.items() if some]
    return warnings


def _shared(variant: Variant) -> dict[str, str]:
    """What all variants should share; empty where one has no say."""
    run = variant.run
    return {
        "trainer": run.trainer,
        "user": run.user,
        "cluster": cluster_name(run.cluster),
        "checkpoint root": "" if variant.is_lost else variant.checkpoint_root,
        "swarm name": variant.swarm_name,
        **_settings(run),
    }


def _more_than_one(what: str, values: Mapping[int, str]) -> list[str]:
    """The warning that variants differ in something; names all but those with the usual value."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for number, value in values.items():
        if value:
            numbers[shown(value)].append(number)
    if len(numbers) < 2:
        return []
    (usual, most), *others = sorted(numbers.items(), key=lambda item: (-len(item[1]), item[1]))
    if what == "seed" and 2 * len(most) <= len(values):  # each has its own
        return []
    each = [f"{usual} ({len(most)})"]
    each += [f"{value} ({len(n)}: {variants_named(n)})" for value, n in others]
    return [f"more than one {what}: {', '.join(each)}"]
