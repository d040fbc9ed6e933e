"""Read the mixture that each variant was trained on from its command."""

from __future__ import annotations

import csv
import io
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from olmix_evalscript.config import Priors
from olmix_evalscript.errors import FitError, TrainerCommandError
from olmix_evalscript.model import Swarm, Variant
from olmix_evalscript.text import shown

#: olmix's generator drops weights below ``minimum_weight`` and rounds the others to multiples of
#: it (``generate_weights_dirichlet`` in olmix/generate/synthesize_mixture.py), so frozen shares
#: differ by about that much. Its published configs use 0.0001 to 0.005.
LARGEST_MINIMUM_WEIGHT = 0.005
#: Columns that ``load_from_csv`` (olmix/fit/loaders.py) does not take for data.
NOT_DATA = ("run", "run_id", "name", "index")


@dataclass(frozen=True)
class Mixtures:
    """What the variants of a swarm were trained on."""

    ratios: Mapping[str, Mapping[str, float]]  # run name to domain to its share, 0 to 1

    def domains_of(self, variants: Sequence[Variant]) -> list[str]:
        """The domains that any of these variants was trained on, sorted."""
        mixtures = [self.ratios[variant.run_name] for variant in variants]
        return sorted({name for mixture in mixtures for name, share in mixture.items() if share})

    def rows(self, variants: Sequence[Variant], domains: Sequence[str]) -> list[list[float]]:
        """The share of each of these domains in each of these variants."""
        return [[self.ratios[v.run_name].get(name, 0.0) for name in domains] for v in variants]


def mixtures(swarm: Swarm, priors: Priors | None = None) -> Mixtures:
    """The mixture of each variant.

    Args:
        swarm: The swarm.
        priors: What they have as one domain, such as a frozen source, becomes one.

    Raises:
        FitError: If a source cannot be read, or domains that become one do not have constant
            shares of it.
    """
    ratios: dict[str, dict[str, float]] = {}
    for variant in swarm.variants:
        mixture: dict[str, float] = defaultdict(float)
        try:
            for source in variant.run.sources:
                mixture[source.name] += source.ratio
        except TrainerCommandError as error:
            raise FitError(f"variant {variant.number} ({variant.run_name}): {error}") from None
        ratios[variant.run_name] = dict(mixture)
    if priors is None:
        return Mixtures(ratios)
    members: dict[str, list[str]] = defaultdict(list)
    for domain in sorted({name for mixture in ratios.values() for name in mixture}):
        members[priors.column(domain)].append(domain)
    for column, domains in members.items():
        if domains != [column]:
            _check_frozen(swarm, ratios, column, domains)
    summed = {
        run: {
            column: math.fsum(mixture.get(domain, 0.0) for domain in domains)
            for column, domains in members.items()
        }
        for run, mixture in ratios.items()
    }
    return Mixtures(summed)


def _check_frozen(
    swarm: Swarm, ratios: Mapping[str, Mapping[str, float]], column: str, domains: Sequence[str]
) -> None:
    """Refuse domains whose shares of their sum are not constant but for the generator's rounding.

    A variant's shares are compared with those of all variants together, among the domains that it
    has: the generator scales up what is left when it drops some.
    """
    smallest = min(ratio for mixture in ratios.values() for ratio in mixture.values() if ratio)
    tolerance = 2 * min(smallest, LARGEST_MINIMUM_WEIGHT)
    sums = {d: math.fsum(mixture.get(d, 0.0) for mixture in ratios.values()) for d in domains}
    found = []  # how far off each share is, and the rest of a message
    for variant in swarm.variants:
        mixture = ratios[variant.run_name]
        total = math.fsum(mixture.get(domain, 0.0) for domain in domains)
        usual = math.fsum(sums[domain] for domain in domains if mixture.get(domain))
        for domain in domains:
            ratio, expected = mixture.get(domain, 0.0), sums[domain] * total / (usual or 1.0)
            found.append((abs(ratio - expected), domain, variant.number, ratio, expected))
    distance, domain, number, ratio, expected = max(found)
    if distance > tolerance:
        raise FitError(
            f"{shown(domain)} cannot be summed into {shown(column)}, as its share of it is not "
            f"constant: variant {number} has the ratio {ratio:.4g}, and the average share would "
            f"give {expected:.4g}. Were the priors made for another swarm?"
        )


def write_csv(
    variants: Sequence[Variant], columns: Sequence[str], rows: Sequence[Sequence[float]]
) -> str:
    """A row for each variant; csv writes a float as repr, so that it reads back as the same.

    Raises:
        FitError: If olmix would skip a column.
    """
    for name in columns:
        if name in NOT_DATA or name.startswith("Unnamed"):
            raise FitError(f"olmix does not read a column called {shown(name)}")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", "name", "index", *columns])
    for variant, values in zip(variants, rows, strict=True):
        writer.writerow([variant.run_name, variant.run_name, variant.number, *values])
    return text.getvalue()
