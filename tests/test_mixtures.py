"""The mixtures of a swarm are those of its commands, in the columns that the priors have."""

from __future__ import annotations

import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from olmix_evalscript.config import Priors, load_priors
from olmix_evalscript.errors import FitError
from olmix_evalscript.mixtures import mixtures, write_csv
from olmix_evalscript.swarm import build_swarm
from tests.conftest import FIXTURES
from tests.factories import GROUP, generated, run_name, source, swarm_of, swarm_of_sources

HALVES = {"wiki": 0.5, "web": 0.5}
REUSE = FIXTURES / "mixture-reuse"


def test_a_variant_has_a_row_and_a_domain_a_column() -> None:
    found = swarm_of({"wiki": 0.25, "dclm:a": 0.75}, {"wiki": 1.0})

    mixed = mixtures(found)

    domains = mixed.domains_of(found.variants)
    rows = mixed.rows(found.variants, domains)
    assert write_csv(found.variants, domains, rows) == (
        "run,name,index,dclm:a,wiki\n"
        f"{run_name(0)},{run_name(0)},0,0.75,0.25\n"
        f"{run_name(1)},{run_name(1)},1,0.0,1.0\n"
    )


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_number_is_read_back_as_the_same(value: float) -> None:
    text = write_csv(swarm_of(HALVES).variants, ["wiki"], [[value]])

    assert float(text.strip().rpartition(",")[2]) == value


def test_a_source_that_cannot_be_read_names_its_variant() -> None:
    with pytest.raises(FitError, match=r"variant 1 \(.*\): its source .* is not \(name, "):
        mixtures(swarm_of_sources([source("wiki", 1.0)], ["(wiki"]))


# --- mixture reuse ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["stage-1", "stage-2", "stage-3", "stage-5"])
def test_frozen_topics_are_one_column_as_in_olmix_s_published_fits(kind: str) -> None:
    published = yaml.safe_load((REUSE / "published.yaml").read_text())[kind]
    swarm = build_swarm(GROUP, generated(kind))

    found = mixtures(swarm, load_priors(REUSE / f"{kind}.yaml"))

    # One topic is too small for any variant.
    domains = found.domains_of(swarm.variants)
    assert domains == [name for name in published if name != "s2pdfv1:adult"]
    for row in found.rows(swarm.variants, domains):
        assert math.fsum(row) == pytest.approx(1)


@pytest.mark.parametrize(("kind", "count"), [("plain", 5), ("partial", 17)])
def test_free_topics_stay_columns(kind: str, count: int) -> None:
    priors = load_priors(REUSE / f"{kind}.yaml")

    swarm = build_swarm(GROUP, generated(kind))

    domains = mixtures(swarm, priors).domains_of(swarm.variants)

    assert domains == sorted(priors.relative_sizes)
    assert len(domains) == count


def test_topics_are_summed_to_a_source_that_the_priors_have() -> None:
    found = mixtures(
        swarm_of(
            {"existing:a": 0.1, "existing:dclm:b": 0.3, "wiki": 0.6},
            {"existing:a": 0.2, "existing:dclm:b": 0.6, "wiki": 0.2},
        ),
        Priors({"existing": 0.5, "wiki": 0.5}, {}),
    )

    assert found.ratios == {
        run_name(0): {"existing": pytest.approx(0.4), "wiki": 0.6},
        run_name(1): {"existing": pytest.approx(0.8), "wiki": 0.2},
    }


def test_topics_that_the_priors_have_stay_columns() -> None:
    swarm = swarm_of({"s:a": 0.4, "s:b": 0.6})

    found = mixtures(swarm, Priors({"s": 0.1, "s:a": 0.5, "s:b": 0.4}, {}))

    assert found.domains_of(swarm.variants) == ["s:a", "s:b"]


@pytest.mark.parametrize(("kind", "source"), [("stage-5", "s2pdfv1"), ("partial", "stack-edu")])
def test_free_topics_cannot_be_summed(kind: str, source: str) -> None:
    priors = Priors({"existing": 1, "dclm": 1, "software_development": 1, source: 1}, {})

    with pytest.raises(FitError, match=f"{source}:.* cannot be summed into {source}, as its share"):
        mixtures(build_swarm(GROUP, generated(kind)), priors)


def test_a_frozen_topic_that_one_variant_lacks_is_named() -> None:
    whole = {"old:a": 0.2, "old:b": 0.2, "wiki": 0.6}
    swarm = swarm_of(whole, whole, {"old:a": 0.4, "wiki": 0.6})

    with pytest.raises(FitError, match=r"old:b cannot be summed into old,.* variant 2 has"):
        mixtures(swarm, Priors({"old": 0.4, "wiki": 0.6}, {}))


def test_a_domain_that_olmix_would_skip_is_refused() -> None:
    swarm = swarm_of({"index": 0.5, "web": 0.5})

    with pytest.raises(FitError, match="olmix does not read a column called index"):
        write_csv(swarm.variants, ["index", "web"], [[0.5, 0.5]])
