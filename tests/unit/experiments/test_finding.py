"""Listing, sharing, bundling and exporting runs, on both database engines where queries matter."""

from __future__ import annotations

import csv
import io
import json
import zipfile

import pytest

from core.accounts import Accounts
from core.errors import AccessError, InputError, NotFoundError
from core.experiments.bundle import bundle, c_array
from core.experiments.compare import compare
from core.experiments.export import to_csv, to_html, to_json
from core.experiments.gallery import changes, images_of
from core.experiments.listing import Filters, Listing
from core.experiments.predictions import Predictions
from core.experiments.reproducing import read_bundle, request_of
from core.experiments.service import Experiments
from core.experiments.sharing import Sharing
from core.experiments.weights import histogram
from core.storage import Storage
from tests.finished import made, store, store_unfinished
from tests.prepared import models

__all__ = ["made", "models"]
WORDS = "nine quiet otters in a row"


@pytest.fixture
def place(engine, settings):
    """The services of an installation, and two people."""
    accounts = Accounts(engine, settings)
    people = [accounts.sign_up(n, n.title(), f"{n}@example.org", WORDS).principal for n in ("ada", "ben")]
    storage = Storage(settings.storage_url)
    return (accounts, Experiments(engine, storage, accounts, settings), Listing(engine, accounts),
            Sharing(engine, storage, accounts), *people)


def test_runs_are_found_by_words_methods_status_and_figures(place, engine, settings, made):
    _, _, listing, _, ada, ben = place
    ids = store(engine, settings, ada.user_id, made)
    store(engine, settings, ben.user_id, made[:1])
    waiting = store_unfinished(engine, ada.user_id, made[0], "queued", name="50% of_it")

    def found(**filters):
        return {run.id for run in listing.page(ada, Filters(**filters))[0]}

    assert found() == {*ids, waiting}
    assert found(words="WHOLE int8") == {ids[0]}
    assert found(words="50%") == {waiting}
    assert found(words="%") == {waiting}
    assert found(words="\\") == set()
    assert found(method="reconstruction") == {ids[1]}
    assert found(method="quant") == set()
    assert found(status="queued") == {waiting}
    assert found(least_smaller=2) == {ids[0]}
    lost = -100 * made[1].record["comparison"]["top1_difference"]["value"]
    assert lost > 2
    assert found(most_points_lost=2) == {ids[0]}
    assert listing.page(ada, Filters(), "smallest")[0][0].id == ids[0]
    assert [run.id for run in listing.page(ada, Filters(), "top1")[0]][-1] == waiting
    page, total = listing.page(ada, Filters(), "oldest", limit=1, offset=1)
    assert (len(page), total) == (1, 3)
    assert listing.choices(ada).methods == ("quantize", "reconstruction")


def test_tags_notes_names_and_the_archive(place, engine, settings, made):
    _, _, listing, _, ada, ben = place
    (run_id,) = store(engine, settings, ada.user_id, made[:1])
    listing.edit(ada, run_id, name="  for  the paper ", tags=["a|b", "x", "x", " "], notes="see class 8")
    kept = listing.notes(ada, run_id)
    assert (kept.name, kept.tags, kept.notes) == ("for the paper", ("a b", "x"), "see class 8")
    assert listing.page(ada, Filters(tag="x"))[1] == 1
    assert listing.page(ada, Filters(tag="a"))[1] == 0
    assert listing.page(ada, Filters(words="class"))[1] == 1
    listing.archive(ada, [run_id])
    assert listing.page(ada, Filters())[1] == 0
    assert listing.page(ada, Filters(archived=True))[1] == 1
    listing.archive(ada, [run_id], archived=False)
    assert listing.page(ada, Filters())[1] == 1
    for change in ({"name": " "}, {"name": "x" * 121}, {"notes": "x" * 4001}, {"tags": ["x" * 31]},
                   {"tags": [str(i) for i in range(11)]}):
        with pytest.raises(InputError):
            listing.edit(ada, run_id, **change)
    for act in (lambda: listing.edit(ben, run_id, name="mine"), lambda: listing.archive(ben, [run_id]),
                lambda: listing.notes(ben, run_id)):
        with pytest.raises(NotFoundError):
            act()


def test_a_link_shows_only_what_was_shared_until_it_is_revoked(place, engine, settings, made):
    accounts, experiments, _, sharing, ada, ben = place
    ids = store(engine, settings, ada.user_id, made)
    token = sharing.share(ada, ids[:1])
    assert [run.id for run in sharing.shared(token)] == ids[:1]
    assert sharing.file(token, ids[0], "model.tflite").read_bytes() == made[0].files["model.tflite"]
    for run_id, name in ((ids[1], "model.tflite"), (ids[0], "nothing")):
        with pytest.raises(NotFoundError):
            sharing.file(token, run_id, name)
    with pytest.raises(NotFoundError):
        sharing.share(ben, ids[:1])
    (link,) = sharing.links(ada, ids[:1])
    sharing.revoke(ben, link.id)
    assert sharing.shared(token)
    sharing.revoke(ada, link.id)
    with pytest.raises(NotFoundError):
        sharing.shared(token)
    pair = sharing.share(ada, ids)
    experiments.delete(ada, ids[1])
    with pytest.raises(NotFoundError):
        sharing.shared(pair)
    accounts.sign_out(ada)
    with pytest.raises(AccessError):
        sharing.links(ada, ids)


def test_the_database_holds_no_token_and_an_account_takes_its_links_along(place, engine, settings, made):
    accounts, _, _, sharing, ada, _ = place
    ids = store(engine, settings, ada.user_id, made[:1])
    token = sharing.share(ada, ids)
    with engine.connect() as connection:
        assert token not in str(connection.exec_driver_sql("SELECT * FROM shares").all())
    accounts.delete_account(ada, WORDS)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM shares").scalar() == 0


def test_only_finished_runs_and_sensible_numbers_are_shared(place, engine, settings, made):
    _, _, _, sharing, ada, _ = place
    waiting = store_unfinished(engine, ada.user_id, made[0], "queued")
    for ids in ([], [waiting], [waiting] * 2, [str(i) for i in range(9)]):
        with pytest.raises(InputError):
            sharing.share(ada, ids)
    for token in ("", "x" * 43, "\x00" * 43, "é" * 10_000):
        with pytest.raises(NotFoundError):
            sharing.shared(token)


@pytest.fixture
def runs(sqlite_engine, settings, made):
    """Two finished runs, with a database and storage of their own."""
    accounts = Accounts(sqlite_engine, settings)
    ada = accounts.sign_up("ada", "Ada", "ada@example.org", WORDS).principal
    experiments = Experiments(sqlite_engine, Storage(settings.storage_url), accounts, settings)
    return [experiments.run(ada, i) for i in store(sqlite_engine, settings, ada.user_id, made)]


def test_a_bundle_is_what_reproduce_reads(runs, tmp_path):
    path = tmp_path / "bundle.zip"
    path.write_bytes(bundle(runs[0], path.name))
    with zipfile.ZipFile(path) as archive:
        assert sorted(archive.namelist()) == ["README.txt", "recipe.yaml", "run.json"]
        assert "reproduce bundle.zip" in archive.read("README.txt").decode()
    asked, given = request_of(read_bundle(path)), runs[0].request
    assert (asked.model, asked.data, asked.seed) == (given.model, given.data, given.seed)
    assert bundle(runs[0]) == bundle(runs[0])


def test_a_c_array_holds_the_bytes(made):
    content = made[0].files["model.tflite"]
    source = c_array(content, "9 käse")
    values = source.partition("{\n")[2].partition("};")[0].replace("\n", "").split(",")
    assert bytes(int(value, 16) for value in values if value.strip()) == content
    assert "const unsigned char model_9_k_se[]" in source
    assert f"_length = {len(content)};" in source
    with pytest.raises(InputError):
        c_array(bytes(8_000_001), "large")


def test_a_selection_leaves_as_csv_json_and_html_without_formulas_or_markup(runs):
    hostile = [runs[0].model_copy(update={"name": "=HYPERLINK(1)"}),
               runs[1].model_copy(update={"name": "<script>alert(1)</script>"})]
    table = list(csv.DictReader(io.StringIO(to_csv(hostile).decode("utf-8-sig"))))
    assert table[0]["name"] == "'=HYPERLINK(1)"
    assert float(table[0]["size_ratio"]) == runs[0].record["comparison"]["size_ratio"]
    assert float(table[1]["top1_difference"]) < 0
    assert json.loads(to_json(hostile))["runs"][0]["id"] == runs[0].id
    page = to_html(hostile, language="fr")
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_the_report_of_a_comparison_names_real_differences(runs, made, tmp_path):
    predictions = []
    for each in made:
        (tmp_path / "p.npz").write_bytes(each.files["predictions.npz"])
        predictions.append(Predictions.load(tmp_path / "p.npz"))
    comparison = compare(runs, predictions)
    assert "a real difference" in to_html(runs, comparison=comparison)


def test_the_gallery_finds_the_images_and_refuses_others(runs, made, tmp_path, settings):
    from core.datasets import Subset, open_dataset

    (tmp_path / "p.npz").write_bytes(made[1].files["predictions.npz"])
    predictions = Predictions.load(tmp_path / "p.npz")
    found = changes(predictions)
    assert found
    assert {change.direction for change in found} <= {"right_to_wrong", "wrong_to_right", "wrong_to_other"}
    digits = open_dataset("digits", settings)
    part = images_of(digits, predictions, runs[1].record)
    assert part.ids[found[0].position] == found[0].image
    assert digits.targets[part.indices[found[0].position]] == found[0].target
    with pytest.raises(NotFoundError):
        images_of(Subset(digits, range(50), "fewer"), predictions, runs[1].record)
    with pytest.raises(NotFoundError):
        images_of(digits, predictions, {"images": {"test": {"sha256": "0" * 64}}})


def test_histograms_count_zeros_apart_and_sum_to_one(made, models, tmp_path):
    before = next((models / "digits").glob("float32-*.tflite"))
    after = tmp_path / "model.tflite"
    after.write_bytes(made[1].files["model.tflite"])
    frame = histogram(before, after, 4)
    assert frame.groupby("form")["share"].sum().round(6).tolist() == [1, 1]
    zeros = frame[frame["low"] == frame["high"]].set_index("form")["share"]
    assert zeros["after"] == pytest.approx(0.75, abs=0.02)
    assert zeros["before"] < 0.01
    with pytest.raises(NotFoundError):
        histogram(before, after, 99)
