"""Read olmix's YAML files: what they say about the evaluation and the fit, and the priors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from olmix_evalscript.errors import InvalidInputError
from olmix_evalscript.tasks import Metric, known_task, metric
from olmix_evalscript.text import listed

#: Of a launch YAML, all that is about evaluation.
KEYS = ("eval_tasks", "eval_cluster", "eval_model_backend")
#: Of a fit YAML (``FitConfig`` in olmix/fit/config.py), what is neither data nor tasks.
FIT_SECTIONS = ("regression", "proposer", "constraints", "filtering")
NOT_SUPPORTED = "That is not supported: write the priors that you want into a file of their own."


@dataclass(frozen=True)
class EvalConfig:
    """The settings a file has; empty where it has none."""

    metrics: tuple[Metric, ...] = ()  # the tasks, with the names that a fit has for them
    cluster: str = ""
    model_backend: str = ""
    fit: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # those of FIT_SECTIONS
    drop_metrics: tuple[str, ...] = ()  # columns that the fit's filtering drops


def load(file: str | None) -> EvalConfig:
    """Read ``eval_tasks``, ``eval_cluster`` and ``eval_model_backend`` of a launch YAML, or the
    offline tasks (``OfflineEvalConfig`` in olmix/fit/config.py) and settings of a fit YAML.

    A fit names columns; each is looked up among the known tasks. No file has no settings.

    Raises:
        InvalidInputError: If the file cannot be read or says nothing usable.
    """
    if file is None:
        return EvalConfig()
    path = Path(file)
    data = _load(path, "config")
    try:
        metrics: Iterable[Metric] = ()
        if data.get("eval_tasks") is not None:
            metrics = map(metric, _names(data, "eval_tasks"))
        elif data.get("eval") is not None:
            metrics = _offline_metrics(_mapping(data, "eval"))
        sections = {name: _mapping(data, name) for name in FIT_SECTIONS if data.get(name)}
        filtering = sections.get("filtering", {})
        dropped = _names(filtering, "drop_metrics") if filtering.get("drop_metrics") else ()
        config = EvalConfig(
            tuple(dict.fromkeys(metrics)),
            cluster=str(data.get("eval_cluster") or ""),
            model_backend=str(data.get("eval_model_backend") or ""),
            fit=sections,
            drop_metrics=tuple(dropped),
        )
        unknown = [key for key in data if str(key).startswith("eval_") and key not in KEYS]
        if unknown:
            raise ValueError(f"it has {unknown[0]}; expected {', '.join(KEYS)}")
        if not (config.metrics or config.cluster or config.model_backend):
            raise ValueError(
                f"it says nothing about evaluation: expected {', '.join(KEYS)}, or a fit's offline "
                "tasks under eval; an inloop eval block is about training"
            )
    except ValueError as error:
        raise InvalidInputError(f"cannot use the config {path}: {error}") from None
    return config


def _load(path: Path, what: str) -> dict[str, Any]:
    """Read a YAML file that is a mapping, as olmix does.

    Raises:
        InvalidInputError: If it cannot be read, or is not such a mapping; ``what`` names it.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise InvalidInputError(f"cannot read the {what} {path}: {reason}") from None
    if not isinstance(data, dict):
        raise InvalidInputError(f"cannot use the {what} {path}: it is not a mapping")
    return data


def _mapping(data: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = data.get(key)
    if not isinstance(value, dict):
        raise ValueError(f"{key} is not a mapping")
    return value


def _names(data: Mapping[str, Any], key: str) -> list[str]:
    names = data[key]
    if not names or not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise ValueError(f"{key} is not a list of names")
    return names


def _offline_metrics(block: Mapping[str, Any]) -> list[Metric]:
    """The names in ``eval: {type: offline, tasks: {family: [name, ...]}}``, family by family.

    A block about evaluation within training has none: it maps names to metrics, and olmix leaves
    out its type.
    """
    families = _mapping(block, "tasks")
    has_mappings = any(isinstance(names, dict) for names in families.values())
    if block.get("type") == "inloop" or has_mappings:
        return []
    return [
        Metric(known_task(name) or name, name, str(family))
        for family in families
        for name in _names(families, family)
    ]


# --- priors ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Priors:
    """How much data each domain has. A frozen source is one domain."""

    relative_sizes: Mapping[str, float]  # domain to its share of all data
    token_counts: Mapping[str, int]

    def column(self, domain: str) -> str:
        """The domain that another is part of, such as ``existing`` for ``existing:dclm:health``;
        the domain itself if the priors know it, or no part of its name."""
        parts = domain.split(":")
        names = (":".join(parts[:count]) for count in range(len(parts), 0, -1))
        return next((name for name in names if name in self.relative_sizes), domain)


def load_priors(path: Path) -> Priors:
    """Read the ``priors`` block (``PriorsConfig`` in olmix/fit/config.py) of what
    ``olmix priors compute`` prints, of a fit config or of a generation config.

    A generation config also has ``swarm.manual_prior``, the priors of sources, and pins topics of a
    source with ``weight``: such a source is one domain, as in all of olmix's published fit configs.
    Source: ``generate_weights_dirichlet`` in olmix/generate/synthesize_mixture.py.

    Raises:
        InvalidInputError: If the file cannot be read or has no usable priors.
    """
    data = _load(path, "priors")
    try:
        sizes = _numbers(data["priors"]["relative_sizes"])
        counts = _numbers(data["priors"]["token_counts"])
        if different := set(sizes) ^ set(counts):
            raise ValueError(f"relative_sizes and token_counts differ in {listed(different)}")
        if not any(sizes.values()):
            raise ValueError("all of its relative_sizes are 0")
        if empty := [name for name, size in sizes.items() if size and not counts[name]]:
            raise ValueError(f"{listed(empty)} has a relative size, but no tokens")
        priors = Priors(sizes, {name: int(count) for name, count in counts.items()})
        sources = (data.get("data") or {}).get("sources")
        return _of_sources(priors, sources, data.get("swarm") or {}) if sources else priors
    except ValueError as error:
        raise InvalidInputError(f"cannot use the priors {path}: {error}") from None
    except (ArithmeticError, AttributeError, KeyError, TypeError) as error:
        raise InvalidInputError(
            f"cannot use the priors {path}: expected a priors block as `olmix priors compute` "
            "prints it, and in a generation config its data.sources and swarm "
            f"({type(error).__name__}: {error})"
        ) from None


def _of_sources(priors: Priors, sources: list[Any], swarm: dict[str, Any]) -> Priors:
    """Give each source its share, split over its domains by their sizes, and sum up the frozen."""
    if swarm.get("manual_topic_prior") is not None:
        raise ValueError(f"it has swarm.manual_topic_prior. {NOT_SUPPORTED}")
    manual = _numbers(swarm.get("manual_prior") or {})
    topics = {source["name"]: source.get("topics") or [] for source in sources}
    if unknown := set(manual) - set(topics):
        raise ValueError(f"swarm.manual_prior has {listed(unknown)}, which is no source")
    domains = {
        name: [d for d in priors.relative_sizes if f"{d}:".startswith(f"{name}:")]
        for name in topics
    }
    natural = {name: math.fsum(priors.relative_sizes[d] for d in domains[name]) for name in topics}
    shares = {**natural, **manual}
    total = math.fsum(shares.values()) if manual else 1.0
    relative_sizes: dict[str, float] = {}
    token_counts: dict[str, int] = {}
    for name, share in shares.items():
        pinned = sum(topic.get("weight") is not None for topic in topics[name])
        if 0 < pinned < len(topics[name]):
            raise ValueError(f"{name} pins {pinned} of {len(topics[name])} topics. {NOT_SUPPORTED}")
        if share and not natural[name]:
            raise ValueError(f"all relative_sizes of {name} are 0")
        if pinned:
            relative_sizes[name] = share / total
            token_counts[name] = sum(priors.token_counts[domain] for domain in domains[name])
            continue
        factor = share / total / (natural[name] or 1.0)
        for domain in domains[name]:
            relative_sizes[domain] = priors.relative_sizes[domain] * factor
            token_counts[domain] = priors.token_counts[domain]
    return Priors(relative_sizes, token_counts)


def _numbers(block: Mapping[str, Any]) -> dict[str, float]:
    """Numbers that are not negative; YAML takes ``1e-05`` for text, and olmix for a number."""
    numbers = {str(name): float(value) for name, value in block.items()}
    for name, number in numbers.items():
        if not 0 <= number < math.inf:
            raise ValueError(f"{name} has {number:g}; expected a number that is not negative")
    return numbers
