"""Figures, certainty and conclusions, from records that were really measured."""

import json
from typing import Any

import pytest

from core.search.answer import Candidate, answer, front, rank
from core.search.judging import chance, figures, steadied
from core.search.parsing import parse_wish
from core.search.wishes import Figures, Limit
from tests.pages.studio import ROOT

RECORDS: list[dict[str, Any]] = json.loads(
    (ROOT / "tests" / "unit" / "experiments" / "digits_records.json").read_text("utf-8"))
CANDIDATES = [
    Candidate(number=i, name=str(i), figures=figures(record)) for i, record in enumerate(RECORDS)
]


def with_loss(lost: int, gained: int = 0, n: int = 240, kl: float = 0.01) -> Figures:
    points = 100 * (lost - gained) / n
    return CANDIDATES[0].figures.model_copy(update={
        "lost": lost, "gained": gained, "n": n, "points": points, "kl": kl})


def test_figures_are_those_of_the_record() -> None:
    for record in RECORDS:
        found = figures(record)
        assert found.ratio("gzip") == pytest.approx(record["comparison"]["gzip_ratio"], rel=1e-6)
        assert found.points == pytest.approx(-100 * record["comparison"]["top1_difference"]["value"])
        assert found.points_low <= found.points <= found.points_high


def test_without_labels_every_changed_answer_counts() -> None:
    record = json.loads(json.dumps(RECORDS[0]))
    record["comparison"] |= {"top1_difference": None, "agreement": 0.95}
    found = figures(record)
    assert not found.labelled
    assert found.points == pytest.approx(5.0, abs=0.3)


def test_the_best_within_the_limits_is_recommended() -> None:
    wish = parse_wish("lose at most 1 point, be smallest")
    found = answer(wish, CANDIDATES)
    assert found.kept
    chosen = next(c for c in CANDIDATES if c.number == found.recommended)
    assert wish.holds(chosen.figures)
    assert found.recommended == rank(wish, CANDIDATES)[0].number
    assert found.recommended not in found.runners_up
    assert "were" not in found.sentences[0].render() or found.sentences


def test_an_impossible_wish_tells_how_near_and_what_to_relax() -> None:
    wish = parse_wish("at least 500 times smaller, lose at most 1 point")
    found = answer(wish, CANDIDATES)
    assert not found.kept
    assert found.recommended is not None
    nearest = max(c.figures.ratio("gzip") for c in CANDIDATES if c.figures.points <= 1)
    (relaxed,) = [r for r in found.relaxations if r.limit.figure == "gzip"]
    assert relaxed.bound == pytest.approx(nearest)
    assert any("times smaller" in s.render() for s in found.sentences)


def test_a_loss_that_is_just_too_small_is_what_to_relax() -> None:
    worst = Candidate(number=99, name="x", figures=with_loss(5))
    found = answer(parse_wish("lose at most 2 points, be smallest"), [worst])
    assert not found.kept
    assert found.relaxations[0].bound == pytest.approx(100 * 5 / 240)


def test_nothing_measured_is_still_an_answer() -> None:
    wish = parse_wish("be smallest")
    assert "more minutes" in answer(wish, []).sentences[0].render()
    assert "no channels" in answer(wish, [], ["no channels to remove"]).sentences[0].render()


def test_no_trial_beats_one_on_the_front() -> None:
    wish = parse_wish("be smallest")
    line = front(wish, CANDIDATES)
    by_number = {c.number: c.figures for c in CANDIDATES}
    for number in line:
        assert not any(
            f.points < by_number[number].points and f.gzip < by_number[number].gzip for f in by_number.values())


def test_test_images_never_decide() -> None:
    wish = parse_wish("lose at most 1 point, be smallest")
    first = answer(wish, CANDIDATES).recommended
    spoiled = [c.model_copy(update={"final": with_loss(60, n=360)}) if c.number == first else c for c in CANDIDATES]
    found = answer(wish, spoiled)
    assert found.recommended == first
    assert found.chance_test is not None
    assert found.chance_test < 0.05
    assert any("speak against" in s.render() for s in found.sentences)


def test_certainty_grows_with_the_images() -> None:
    limit = Limit(figure="points", bound=1.5)
    few, many = chance(limit, with_loss(1, n=100)), chance(limit, with_loss(40, n=4000))
    assert 0.5 < few < 0.95 < many
    assert chance(limit, with_loss(5, n=100)) < 0.1


def test_a_lucky_count_is_drawn_towards_what_divergence_says() -> None:
    found = [with_loss(lost, kl=kl) for lost, kl in ((0, 0.001), (1, 0.004), (3, 0.02), (4, 0.04), (0, 0.05), (8, 0.1))]
    steady = steadied(found)
    assert steady[4] > found[4].points + 0.3
    assert abs(steady[0] - found[0].points) < 0.3
