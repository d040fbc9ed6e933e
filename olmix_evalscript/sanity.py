"""Warn of mixtures and results that make a poor fit, before it is run."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import mul
from statistics import median

from olmix_evalscript.model import Variant
from olmix_evalscript.text import counted, listed, shown, variants_named

#: What is left of a domain's column once the others are projected out, as a part of its length;
#: below it the fit cannot tell the domain from them. The rounding of frozen topics by olmix's
#: generator leaves up to 0.01, and domains that vary freely 0.1 or more.
LEAST_INDEPENDENT = 0.02
FAR = 6.0  # median absolute deviations from the median
FEWEST = 5  # variants that have a meaningful deviation


@dataclass(frozen=True)
class FitData:
    """What the fit gets: a row for each variant."""

    variants: Sequence[Variant]
    domains: Sequence[str]
    ratios: Sequence[Sequence[float]]  # a column for each domain
    metrics: Sequence[str]
    bpb: Sequence[Sequence[float]]  # a column for each metric

    @cached_property
    def basis(self) -> tuple[list[list[float]], list[int]]:
        """An orthonormal basis of the ratios' columns, by Gram and Schmidt, and the places of the
        domains that depend on those before them."""
        basis: list[list[float]] = []
        dependent = []
        for index, column in enumerate(zip(*self.ratios, strict=True)):
            rest = _residual(_residual(column, basis), basis)  # twice is enough
            length = math.hypot(*rest)
            if length <= LEAST_INDEPENDENT * math.hypot(*column):
                dependent.append(index)
            else:
                basis.append([x / length for x in rest])
        return basis, dependent

    @cached_property
    def fits(self) -> dict[str, tuple[list[float], list[float]]]:
        """The logarithms of each metric's BPB, and what a linear fit of them on the ratios does not
        explain."""
        basis, _ = self.basis
        logs = [[math.log(value) for value in column] for column in zip(*self.bpb, strict=True)]
        fits = [(values, _residual(values, basis)) for values in logs]
        return dict(zip(self.metrics, fits, strict=True))


def fit_warnings(data: FitData) -> list[str]:
    """A warning for each thing that makes a poor fit, a line each."""
    count = len(data.variants)
    _, dependent = data.basis
    runs = [variant.run_name for variant in data.variants]
    beginnings = tuple(f"{run}{mark}" for run in runs for mark in "-_")
    suspects = {
        f"domains that the mixtures of {counted(count, 'variant')} cannot tell from the others (if "
        "topics were pinned, use --priors with the generation config)": [
            data.domains[index] for index in dependent
        ],
        "named after another variant, as if it were run again": [
            run for run in runs if run.startswith(beginnings)
        ],
        "the same BPB for all variants": [
            name for name, (logs, _) in data.fits.items() if count > 1 and len(set(logs)) == 1
        ],
        f"far from the others on most tasks (over {FAR:g} median absolute deviations)": [
            runs[index] for index in _outliers(data)
        ],
    }
    return [
        *(f"{text}: {listed(names)}" for text, names in suspects.items() if names),
        *_same(data.variants, data.ratios, "mixture"),
        *_same(data.variants, data.bpb, "results"),
    ]


def _same(variants: Sequence[Variant], rows: Sequence[Sequence[float]], what: str) -> list[str]:
    numbers: dict[Hashable, list[int]] = defaultdict(list)
    for variant, row in zip(variants, rows, strict=True):
        numbers[tuple(row)].append(variant.number)
    return [f"{variants_named(same)} have the same {what}" for same in numbers.values() if same[1:]]


def _outliers(data: FitData) -> list[int]:
    """The places of the variants that are far from the others on more than half of the metrics."""
    count = len(data.variants)
    if count < FEWEST:
        return []
    basis, _ = data.basis
    far: Counter[int] = Counter()
    for logs, residuals in data.fits.values():
        # Far only for its mixture's sake is no fault: the fit explains that.
        unexplained = _far(residuals) if len(basis) < count else set(range(count))
        far.update(_far(logs) & unexplained)
    return [index for index in far if 2 * far[index] > len(data.metrics)]


def _far(values: Sequence[float]) -> set[int]:
    """The places of the values that are far from the median of all."""
    middle = median(values)
    deviation = median(abs(value - middle) for value in values)
    return {i for i, value in enumerate(values) if abs(value - middle) > FAR * deviation > 0}


def explained(data: FitData) -> str:
    """How well mixtures explain the results: the leave-one-out R² of a linear fit of log(BPB) on
    the ratios, its median and its worst metric; empty if the variants are too few or dependent."""
    basis, dependent = data.basis
    leverages = [math.fsum(x * x for x in row) for row in zip(*basis, strict=True)]
    if dependent or max(leverages) > 1 - 1e-9:
        return ""
    scores = {}
    for name, (logs, residuals) in data.fits.items():
        mean = math.fsum(logs) / len(logs)
        total = math.fsum((log - mean) ** 2 for log in logs)
        errors = (r / (1 - h) for r, h in zip(residuals, leverages, strict=True))
        if total:
            scores[name] = 1 - math.fsum(error**2 for error in errors) / total
    if not scores:
        return ""
    worst = min(scores, key=lambda name: scores[name])
    return f"{median(scores.values()):.2f} median, {scores[worst]:.2f} {shown(worst)}"


def _residual(vector: Sequence[float], basis: Sequence[Sequence[float]]) -> list[float]:
    """What is left of a vector once its projection on the basis is taken away."""
    rest = list(vector)
    for unit in basis:
        part = sum(map(mul, rest, unit))
        rest = [x - part * y for x, y in zip(rest, unit)]  # noqa: B905 - strict takes long
    return rest
