import io
import zipfile

import pytest

from core.accounts import LOCAL
from core.errors import BusyError, InputError, NotFoundError
from core.experiments.runs import RunRequest
from core.experiments.subjects import open_subject
from tests.unit.experiments.places import PASSPHRASE, digits_zip, make_place

RECIPE = {"steps": [{"step": "quantize"}]}


@pytest.fixture
def place(tmp_path):
    made = make_place(tmp_path / "home")
    yield made
    made.engine.dispose()


def test_a_zip_is_kept_once_per_owner_and_opens_under_its_own_name(place):
    first = place.uploads.add(place.ada, "C:\\photos\\numbers.zip", digits_zip())
    again = place.uploads.add(place.ada, "other.zip", digits_zip())
    assert first.id == again.id
    assert (first.name, first.images, first.classes) == ("numbers.zip", 8, 2)
    data = open_subject(first.spec, place.settings)
    assert data.name == "numbers.zip"
    assert data.classes == ["0", "1"]
    assert data.image(0).shape == (16, 16, 3)
    assert [u.id for u in place.uploads.uploads(place.ada)] == [first.id]


@pytest.mark.parametrize(("content", "words"), [
    (b"", "not a zip"),
    (b"PK\x03\x04 and then nothing", "not a zip"),
    (digits_zip(broken="bad.png"), "bad.png"),
    (digits_zip(per_class=1, classes=1), "only 1 photo"),
])
def test_a_bad_zip_is_refused_by_name_and_leaves_nothing(place, content, words):
    with pytest.raises(InputError) as caught:
        place.uploads.add(place.ada, "set.zip", content)
    assert words in str(caught.value)
    assert place.uploads.uploads(place.ada) == []
    assert list(place.storage.digests()) == []
    assert not list(place.settings.home.glob(".upload*"))


def test_a_zip_bomb_is_refused(place):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(40):
            archive.writestr(f"a/{number}.bmp", b"BM" + bytes(9_000_000))
    with pytest.raises(InputError):
        place.uploads.add(place.ada, "bomb.zip", buffer.getvalue())


def test_size_and_quota_are_limits(tmp_path):
    place = make_place(tmp_path / "home", quotas={"stored_mb": 0.01}, limits={"dataset_mb": 0.05})
    with pytest.raises(InputError, match="at most"):
        place.uploads.add(place.ada, "large.zip", bytes(60_000))
    place.uploads.add(place.ada, "one.zip", digits_zip(per_class=3))
    with pytest.raises(BusyError):
        place.uploads.add(place.ada, "two.zip", digits_zip(per_class=4))


def test_another_persons_images_do_not_exist(place):
    mine = place.uploads.add(place.ada, "numbers.zip", digits_zip())
    request = RunRequest(model="digits", data=mine.spec, recipe=RECIPE)
    for action in (
        lambda: place.uploads.upload(place.ben, mine.spec),
        lambda: place.uploads.delete(place.ben, mine.spec),
        lambda: place.experiments.submit(place.ben, [request]),
        lambda: place.experiments.submit(place.ben, [request.model_copy(update={
            "data": "digits", "calibration": mine.spec})]),
    ):
        with pytest.raises(NotFoundError):
            action()
    assert place.experiments.submit(place.ada, [request])[0].request.data == mine.spec


@pytest.mark.parametrize("spec", ["/etc", "./digits", "~/x.zip", "digits/../etc", "photos:0", "photos:999999999", ""])
def test_a_person_of_the_web_cannot_name_a_path(place, spec):
    with pytest.raises(InputError):
        place.experiments.submit(place.ada, [RunRequest(model="digits", data=spec, recipe=RECIPE)])
    assert place.experiments.runs(place.ada) == []


@pytest.mark.parametrize("model", ["/tmp/x.tflite", "../digits", "nothing-here", ""])
def test_a_person_of_the_web_cannot_name_a_model_file(place, model):
    with pytest.raises(NotFoundError):
        place.experiments.submit(place.ada, [RunRequest(model=model, data="digits", recipe=RECIPE)])


def test_the_operator_may_name_a_path(place):
    assert place.experiments.submit(LOCAL, [RunRequest(model="digits", data="/data/x.zip", recipe=RECIPE)])


def test_images_that_a_waiting_run_needs_are_kept(place):
    mine = place.uploads.add(place.ada, "numbers.zip", digits_zip())
    run = place.experiments.submit(place.ada, [RunRequest(model="digits", data=mine.spec, recipe=RECIPE)])[0]
    with pytest.raises(BusyError):
        place.uploads.delete(place.ada, mine.spec)
    place.experiments.cancel(place.ada, run.id)
    place.uploads.delete(place.ada, mine.spec)
    assert not place.storage.exists(mine.sha256)
    with pytest.raises(NotFoundError):
        open_subject(mine.spec, place.settings)


def test_a_file_shared_by_two_people_goes_with_the_last(place):
    content = digits_zip()
    first = place.uploads.add(place.ada, "numbers.zip", content)
    second = place.uploads.add(place.ben, "numbers.zip", content)
    assert first.sha256 == second.sha256
    place.uploads.delete(place.ada, first.spec)
    assert place.storage.exists(second.sha256)
    place.accounts.delete_account(place.ben, PASSPHRASE)
    assert not place.storage.exists(second.sha256)


def test_the_example_is_made_once_and_seen_but_not_changed_by_everybody(place):
    request = RunRequest(model="digits", data="digits", recipe=RECIPE)
    made = place.experiments.make_example([request])
    assert place.experiments.make_example([request]) == []
    run = made[0]
    assert place.experiments.run(place.ben, run.id).id == run.id
    assert [r.id for r in place.experiments.runs(place.ada, with_example=True)] == [run.id]
    assert place.experiments.runs(place.ada) == []
    for action in (place.experiments.cancel, place.experiments.delete):
        with pytest.raises(NotFoundError):
            action(place.ada, run.id)


def test_the_estimate_stays_beside_the_run(place):
    request = RunRequest(model="digits", data="digits", recipe=RECIPE)
    run = place.experiments.submit(place.ada, [request], "mine", [{"gzip_bytes": {"value": 1}}])[0]
    assert place.experiments.run(place.ada, run.id).estimate == {"gzip_bytes": {"value": 1}}
