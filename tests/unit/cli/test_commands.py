"""models, prepare, classify and evaluate: keys, exit codes, and one clear line for what is wrong."""

import json
import subprocess
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest

from tests.prepared import ROOT

Run = Callable[..., subprocess.CompletedProcess[str]]
COFFEE = str(files("skimage.data") / "coffee.png")


def one_line(text: str) -> bool:
    return text.count("\n") == 1 and "Traceback" not in text


def test_models(run: Run) -> None:
    done = run("models", "--json")
    assert done.returncode == 0, done.stderr
    entries = {entry["name"]: entry for entry in json.loads(done.stdout)}
    assert set(entries) >= {"efficientnet-lite0", "digits", "suspect-detection"}
    assert {"name", "title", "parameters", "tflite_bytes", "input", "labels", "source"} <= set(entries["digits"])
    assert entries["digits"]["input"] == [8, 8, 1]
    assert len(entries["efficientnet-lite0"]["labels"]) == 1000
    assert entries["efficientnet-lite0"]["tflite_bytes"] > 18_000_000
    assert entries["efficientnet-lite0"]["forms"]["int8"] < 5_500_000
    assert entries["suspect-detection"]["status"] == "waiting"
    assert entries["suspect-detection"]["tflite_bytes"] is None
    assert "efficientnet-lite0" in run("models").stdout


def test_classify_many_with_a_bad_one(run: Run, tmp_path: Path) -> None:
    bad = tmp_path / "b\x1bad\u202e.jpg"
    bad.write_bytes(b"<svg/>")
    done = run("classify", COFFEE, bad, tmp_path / "gone.png", tmp_path, COFFEE, "--top", "3", "--json")
    assert done.returncode == 2
    first, second, third, fourth, last = json.loads(done.stdout)
    assert set(first) >= {"file", "model", "predictions", "preprocess_ms", "inference_ms", "model_bytes"}
    assert first["model"] == "efficientnet-lite0"
    assert [set(p) for p in first["predictions"]] == [{"index", "label", "probability"}] * 3
    assert first["predictions"][0]["label"] == "espresso"
    assert first["predictions"] == last["predictions"]
    assert [set(x) for x in (second, third, fourth)] == [{"file", "error"}] * 3
    assert second["file"] == str(bad)
    text = run("classify", COFFEE, bad)
    assert text.returncode == 2
    assert "espresso" in text.stdout
    assert "\x1b" not in text.stdout
    assert "\u202e" not in text.stdout


def test_classify_with_int8_and_a_file(run: Run, models: Path, tmp_path: Path) -> None:
    path = next((models / "efficientnet-lite0").glob("int8-*.tflite"))
    copy = tmp_path / "model.tflite"
    copy.write_bytes(path.read_bytes())
    named, given = (json.loads(run("classify", COFFEE, "--model", model, "--json").stdout)[0]
                    for model in ("efficientnet-lite0:int8", str(copy)))
    assert named["predictions"] == given["predictions"]
    assert named["model_bytes"] == path.stat().st_size


def test_evaluate_digits(run: Run) -> None:
    done = run("evaluate", "digits", "--data", "digits", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert set(result) == {"model", "data", "n", "top1", "top5", "ece", "seconds"}
    assert result["n"] == 360
    assert result["top1"]["low"] < result["top1"]["value"] >= 0.98
    limited = json.loads(run("evaluate", "digits:int8", "--data", "digits", "--limit", "50", "--json").stdout)
    assert limited["n"] == 50


@pytest.mark.parametrize(("arguments", "said"), [
    (("classify",), "PHOTO"),
    (("classify", COFFEE, "--model", "nothing"), "nothing"),
    (("classify", COFFEE, "--model", "nothing.tflite"), "nothing.tflite"),
    (("classify", COFFEE, "--model", "digits:int3"), "int3"),
    (("classify", COFFEE, "--model", "suspect-detection"), "waiting"),
    (("classify", COFFEE, "--top", "0"), "top"),
    (("evaluate", "digits"), "--data"),
    (("evaluate", "digits", "--data", "/nowhere"), "nowhere"),
    (("evaluate", "digits", "--data", "photos"), "photos"),
    (("evaluate", "digits", "--data", "digits", "--limit", "x"), "limit"),
    (("prepare", "suspect-detection"), "waiting"),
    (("prepare", "nothing"), "nothing"),
    (("unknown",), "unknown"),
    (("models", "--colour"), "colour"),
])
def test_input_errors_are_one_line_and_exit_2(run: Run, arguments: tuple[str, ...], said: str) -> None:
    done = run(*arguments, "--json") if arguments != ("unknown",) else run(*arguments)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert one_line(done.stderr), done.stderr
    assert said in done.stderr


def test_a_bad_setting_is_named(run: Run) -> None:
    done = run("models", SECATEUR_LIMITS__PHOTO_MB="-1")
    assert done.returncode == 2
    assert one_line(done.stderr)
    assert "photo_mb" in done.stderr


def test_french(run: Run) -> None:
    done = run("models", "--json", SECATEUR_LANGUAGE="fr")
    titles = {entry["name"]: entry["title"] for entry in json.loads(done.stdout)}
    assert titles["digits"] == "Chiffres manuscrits"


def test_prepare_of_what_is_ready(run: Run) -> None:
    done = run("prepare", "digits", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["status"] == "ready"


def test_light_commands_import_no_tensorflow() -> None:
    code = ("import sys; from core.cli import main; main(['models', '--json']);"
            "assert not {'tensorflow', 'h5py', 'sklearn', 'pandas'} & set(sys.modules)")
    import sys

    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def photos() -> Path:
    """The zip of real photos, where this machine has it."""
    import os

    path = Path(os.environ.get("SECATEUR_TEST_DATA", ROOT.parent / "shared" / "data")) / "imagenet-sample-dev.zip"
    if not path.is_file():
        pytest.skip("imagenet-sample-dev.zip is not here; SECATEUR_TEST_DATA names its folder")
    return path


@pytest.mark.slow
def test_accuracy_on_real_photos(run: Run, photos: Path) -> None:
    exact, small = (
        json.loads(run("evaluate", f"efficientnet-lite0{form}", "--data", photos, "--json").stdout)["top1"]["value"]
        for form in ("", ":int8")
    )
    assert exact >= 0.87
    assert abs(exact - small) <= 0.015
