"""Read the priors of a fit, as olmix's generator uses them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmix_evalscript.config import load_mapping
from olmix_evalscript.errors import InvalidInputError
from olmix_evalscript.text import listed

NOT_SUPPORTED = "That is not supported: write the priors that you want into a file of their own."


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
    data = load_mapping(path, "priors")
    try:
        block = data.get("priors")
        if not isinstance(block, dict):
            raise ValueError("it has no priors block; `olmix priors compute` prints one")
        sizes, counts = _numbers(block, "relative_sizes"), _numbers(block, "token_counts")
        if different := set(sizes) ^ set(counts):
            raise ValueError(f"relative_sizes and token_counts differ in {listed(different)}")
        if not any(sizes.values()):
            raise ValueError("all of its relative_sizes are 0")
        for name, count in counts.items():
            if count != int(count):
                raise ValueError(f"{name} has {count!a}; expected a number of tokens")
            if sizes[name] and not count:
                raise ValueError(f"{name} has the relative size {sizes[name]:g}, but no tokens")
        priors = Priors(sizes, {name: int(count) for name, count in counts.items()})
        block = data.get("data")
        sources = block.get("sources") if isinstance(block, dict) else None
        return _of_sources(priors, sources, data.get("swarm") or {}) if sources else priors
    except ValueError as error:
        raise InvalidInputError(f"cannot use the priors {path}: {error}") from None
    except (AttributeError, KeyError, TypeError, ZeroDivisionError):
        raise InvalidInputError(
            f"cannot use the priors {path}: data.sources and swarm are not those of a generation "
            "config"
        ) from None


def _of_sources(priors: Priors, sources: list[Any], swarm: dict[str, Any]) -> Priors:
    """Give each source its share, split over its domains by their sizes, and sum up the frozen."""
    if swarm.get("manual_topic_prior") is not None:
        raise ValueError(f"it has swarm.manual_topic_prior. {NOT_SUPPORTED}")
    manual = _numbers(swarm, "manual_prior") if swarm.get("manual_prior") else {}
    topics = {source["name"]: source.get("topics") or [] for source in sources}
    if unknown := set(manual) - set(topics):
        raise ValueError(f"swarm.manual_prior has {listed(unknown)}, which is no source")
    sizes = {
        name: {
            d: size for d, size in priors.relative_sizes.items() if f"{d}:".startswith(f"{name}:")
        }
        for name in topics
    }
    natural = {name: math.fsum(of_source.values()) for name, of_source in sizes.items()}
    total = math.fsum({**natural, **manual}.values()) if manual else 1.0
    relative_sizes: dict[str, float] = {}
    token_counts: dict[str, int] = {}
    for name, of_source in sizes.items():
        share = manual.get(name, natural[name]) / total
        pinned = sum(topic.get("weight") is not None for topic in topics[name])
        if 0 < pinned < len(topics[name]):
            raise ValueError(f"{name} pins {pinned} of {len(topics[name])} topics. {NOT_SUPPORTED}")
        if share and not natural[name]:
            raise ValueError(f"all relative_sizes of {name} are 0")
        if pinned:
            relative_sizes[name] = share
            token_counts[name] = sum(priors.token_counts[domain] for domain in of_source)
            continue
        factor = share / natural[name] if share else 0.0
        relative_sizes |= {domain: size * factor for domain, size in of_source.items()}
        token_counts |= {domain: priors.token_counts[domain] for domain in of_source}
    return Priors(relative_sizes, token_counts)


def _numbers(block: Mapping[str, Any], key: str) -> dict[str, float]:
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
