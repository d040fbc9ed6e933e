"""Warn about what is odd in a swarm's variants."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from olmix_evalscript.errors import TrainerCommandError
from olmix_evalscript.evaluator import cluster_name
from olmix_evalscript.model import TrainerRun, Variant
from olmix_evalscript.text import shown, variants_named


def _length(run: TrainerRun) -> str | None:
    """Such as ``0.5xC``, as multiples of Chinchilla's length are written, or a number of tokens."""
    return f"{run.chinchilla_multiple}xC" if run.chinchilla_multiple else run.max_tokens


#: What all variants of a swarm share; one that differs poisons the fit as a wrong checkpoint does.
SETTINGS: dict[str, Callable[[TrainerRun], str | None]] = {
    "model": lambda run: run.model,
    "length": _length,
    "sequence length": lambda run: run.sequence_length,
    "tokenizer": lambda run: run.tokenizer,
    "dtype": lambda run: run.dtype,
    "train type": lambda run: run.train_type,
    "global batch size": lambda run: run.global_batch_size,
    "start checkpoint": lambda run: run.start_checkpoint,
}


def _mixture(run: TrainerRun) -> object:
    try:
        return tuple((source.name, source.ratio, source.repetition) for source in run.sources)
    except TrainerCommandError:
        return run.source_literals


def differences(runs: Sequence[TrainerRun]) -> list[str]:
    """The settings in which launches of one run differ, though they save to one directory."""
    compared: dict[str, Callable[[TrainerRun], object]] = {
        **SETTINGS,
        "seed": lambda run: run.seed,
        "mixture": _mixture,
    }
    return [what for what, of in compared.items() if len({of(run) for run in runs}) > 1]


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
    saved = [variant for variant in kept if not variant.is_lost]
    named = [variant for variant in kept if variant.swarm_name]
    warnings += _more_than_one("trainer", kept, lambda v: v.run.trainer)
    warnings += _more_than_one("user", kept, lambda v: v.run.user)
    warnings += _more_than_one(
        "cluster", kept, lambda v: v.run.cluster and cluster_name(v.run.cluster)
    )
    warnings += _more_than_one("checkpoint root", saved, lambda v: v.checkpoint_root)
    warnings += _more_than_one("swarm name", named, lambda v: v.swarm_name)
    for what, of in SETTINGS.items():
        warnings += _more_than_one(what, kept, lambda v, of=of: of(v.run))  # type: ignore[misc]
    seeds = Counter(variant.run.seed for variant in kept)
    if 2 * max(seeds.values(), default=0) > len(kept):  # else each has its own
        warnings += _more_than_one("seed", kept, lambda v: v.run.seed)
    for status in ("failed", "canceled"):
        numbers = [v.number for v in kept if v.status == status]
        if numbers:
            warnings.append(f"{variants_named(numbers)}: {status}")
    by_note: dict[str, list[int]] = defaultdict(list)
    for variant in kept:
        for note in variant.notes:
            by_note[note].append(variant.number)
    warnings += [f"{variants_named(numbers)}: {note}" for note, numbers in by_note.items()]
    return warnings


def _more_than_one(
    what: str, variants: Sequence[Variant], of: Callable[[Variant], str | None]
) -> list[str]:
    """The warning that variants differ in something; names all but those with the usual value."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for variant in variants:
        value = of(variant)
        numbers["none" if value is None else shown(value)].append(variant.number)
    if len(numbers) < 2:
        return []
    (usual, most), *others = sorted(numbers.items(), key=lambda item: (-len(item[1]), item[1]))
    each = [f"{usual} ({len(most)})"]
    each += [f"{value} ({len(n)}: {variants_named(n)})" for value, n in others]
    return [f"more than one {what}: {', '.join(each)}"]
