"""Read the priors of a fit, as olmix's generator uses them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmix_evalscript.config import load_mapping
from olmix_evalscript.errors import InvalidInputError


@dataclass(frozen=True)
class Priors:
    """How much data each domain has. A frozen source is one domain."""

    relative_sizes: Mapping[str, float]  # domain to its share of all data
    token_counts: Mapping[str, int]
    warnings: tuple[str, ...] = ()

    def column(self, domain: str) -> str:
        """The domain that another is part of, such as ``existing`` for ``existing:dclm:health``;
        the domain itself if the priors know it, or no part of its name."""
        parts = domain.split(":")
        names = (":".join(parts[:count]) for count in range(len(parts), 0, -1))
        return next((name for name in names if name in self.relative_sizes), domain)


@dataclass(frozen=True)
class _Source:
    """A source of a generation config."""

    name: str
    pinned: int  # topics with a weight
    topics: int

    @property
    def is_frozen(self) -> bool:
        return 0 < self.pinned == self.topics

    def has(self, domain: str) -> bool:
        return domain == self.name or domain.startswith(f"{self.name}:")


def load_priors(path: Path) -> Priors:
    """Read the ``priors`` block (``PriorsConfig`` in olmix/fit/config.py) of what
    ``olmix priors compute`` prints, of a fit config or of a generation config.

    A generation config also has ``swarm.manual_prior``, the priors of sources, and pins topics of a
    source with ``weight``: such a source is one domain, as in all of olmix's published fit configs.
    Source: ``generate_weights_dirichlet`` in olmix/generate/synthesize_mixture.py.

    Raises:
        InvalidInputError: If the file cannot be read or has no usable priors.
    """
    data = load_mapping(path, "priors")
    try:
        block = data.get("priors")
        if not isinstance(block, dict):
            raise ValueError("it has no priors block; `olmix priors compute` prints one")
        sizes = _numbers(block, "relative_sizes")
        counts = {
            name: _count(name, number) for name, number in _numbers(block, "token_counts").items()
        }
        if not any(sizes.values()):
            raise ValueError("all of its relative_sizes are 0")
        for name, size in sizes.items():
            if size and counts.get(name) == 0:
                raise ValueError(f"{name} has the relative size {size:g}, but no tokens")
        sources = _sources(data.get("data"))
        if not sources:
            return Priors(sizes, counts)
        return _of_sources(sizes, counts, sources, _manual_prior(data.get("swarm"), sources))
    except ValueError as error:
        raise InvalidInputError(f"cannot use the priors {path}: {error}") from None


def _of_sources(
    sizes: Mapping[str, float],
    counts: Mapping[str, int],
    sources: Sequence[_Source],
    manual: Mapping[str, float],
) -> Priors:
    """Give each source its share, split over its domains by their sizes, and sum up the frozen."""
    natural = {s.name: math.fsum(sizes[d] for d in sizes if s.has(d)) for s in sources}
    shares = {name: manual.get(name, size) for name, size in natural.items()}
    total = math.fsum(shares.values()) if manual else 1.0
    relative_sizes: dict[str, float] = {}
    token_counts: dict[str, int] = {}
    for source in sources:
        share = shares[source.name] / total
        counted = {domain: count for domain, count in counts.items() if source.has(domain)}
        if source.is_frozen:
            relative_sizes[source.name] = share
            token_counts[source.name] = sum(counted.values())
            continue
        if share and not natural[source.name]:
            raise ValueError(f"all relative_sizes of {source.name} are 0")
        factor = share / natural[source.name] if manual and share else float(share > 0)
        relative_sizes |= {d: size * factor for d, size in sizes.items() if source.has(d)}
        token_counts |= counted
    mixed = tuple(
        f"{source.name} pins {source.pinned} of {source.topics} topics, so its topics stay columns "
        "of their own"
        for source in sources
        if 0 < source.pinned < source.topics
    )
    return Priors(relative_sizes, token_counts, mixed)


def _sources(block: Any) -> list[_Source]:
    """The sources under ``data`` of a generation config; none in any other file."""
    found = []
    sources = block.get("sources") if isinstance(block, dict) else None
    for source in sources if isinstance(sources, list) else ():
        if not isinstance(source, dict) or not isinstance(source.get("name"), str):
            raise ValueError("data.sources has a source without a name")
        topics = source.get("topics")
        topics = [topic for topic in topics if isinstance(topic, dict)] if topics else []
        pinned = sum(topic.get("weight") is not None for topic in topics)
        found.append(_Source(source["name"], pinned, len(topics)))
    return found


def _manual_prior(swarm: Any, sources: Sequence[_Source]) -> dict[str, float]:
    settings = swarm if isinstance(swarm, dict) else {}
    if settings.get("manual_topic_prior") is not None:
        raise ValueError(
            "swarm.manual_topic_prior is not supported; write the priors that you want into a "
            "priors block of their own"
        )
    if settings.get("manual_prior") is None:
        return {}
    manual = _numbers(settings, "manual_prior")
    for name in manual:
        if name not in {source.name for source in sources}:
            raise ValueError(f"swarm.manual_prior has {name}, which is no source")
    return manual


def _numbers(block: dict[str, Any], key: str) -> dict[str, float]:
    values = block.get(key)
    if not isinstance(values, dict):
        raise ValueError(f"{key} does not map domains to numbers")
    return {str(domain): _amount(domain, value) for domain, value in values.items()}


def _amount(domain: str, value: Any) -> float:
    """A number that is not negative; YAML takes ``1e-05`` for text, and olmix for a number."""
    try:
        number = value if type(value) is int else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if type(value) is bool or not (math.isfinite(number) and number >= 0):
        raise ValueError(f"{domain} has {value!a}; expected a number that is not negative")
    return number


def _count(domain: str, number: float) -> int:
    if number != int(number):
        raise ValueError(f"{domain} has {number!a}; expected a number of tokens")
    return int(number)
