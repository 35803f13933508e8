"""A method that only this file knows: it is in the form, on the command line, in the report and in the documents."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from core.cli import main
from core.errors import InputError
from core.experiments.report import report
from core.recipes import Step, load_recipe, register, setting
from core.recipes.schema import markdown
from core.recipes.step import REGISTRY
from pages._ui import services
from tests.finished import Made, made
from tests.pages.labs import lab_home, page, texts, waiting
from tests.pages.runs import keep, member, seen, visit

__all__ = ["lab_home", "made"]
pytestmark = pytest.mark.usefixtures("lab_home")
SANDED = {"name": "smooth", "steps": [{"step": "sand", "grit": 120, "wet": True}, {"step": "quantize"}]}


@pytest.fixture(autouse=True)
def sand() -> Iterator[None]:
    """Let there be a step that sands weights, while a test runs."""

    @register
    class Sand(Step):
        kind = "sand"
        title = "Sanding"
        help = "Sands the weights until they are smooth."
        words = "sand the weights with grit {grit}"
        main = ("grit",)

        grit: int = setting(80, title="Grit", help="Of the paper.", ge=8, le=3000)
        wet: bool = setting(False, title="Wet", help="With water.", advanced=True)

    yield
    del REGISTRY["sand"]


def sanded(made: Made) -> Made:
    """Return a measured run as if the step had been in its recipe."""
    recipe = load_recipe(SANDED)
    step = {"step": recipe.steps[0].as_dict(), "seconds": 0.2, "changed": True, "findings": [], "details": {}}
    return Made({**made.record, "recipe": recipe.model_dump(mode="json"), "steps": [step]},
                {**made.files, "recipe.yaml": recipe.to_yaml().encode()})


def test_the_form_shows_its_fields_and_queues_it() -> None:
    test = page("lab").run()
    next(b for b in test.button if b.key == "lab.add_sand").click().run()
    assert not test.exception
    next(n for n in test.number_input if n.label == "Grit").set_value(120).run()
    next(t for t in test.toggle if t.label == "Wet").set_value(True).run()
    assert "Sand the weights with grit 120" in texts(test).replace("\\", "") or \
        "sand the weights with grit 120" in texts(test).replace("\\", "")
    assert "sand is not foreseen" in texts(test)
    next(b for b in test.button if b.label == "Run").click().run()
    (run,) = waiting(test)
    assert {"step": "sand", "grit": 120, "wet": True} in run.request.recipe["steps"]
    assert "Sanding" in run.name


def test_the_command_line_lists_it_takes_it_and_names_its_bounds(tmp_path, capsys) -> None:
    assert main(["recipes", "--json"]) == 0
    told = {step["kind"]: step for step in json.loads(capsys.readouterr().out)["steps"]}["sand"]
    assert [(field["name"], field["minimum"], field["maximum"]) for field in told["fields"][:1]] == [("grit", 8, 3000)]
    assert main(["recipes"]) == 0
    assert "Sands the weights until they are smooth." in capsys.readouterr().out
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("steps:\n- {step: sand, grit: 1}\n")
    assert main(["compress", "digits", "--recipe", str(recipe), "--data", "digits", "--out", str(tmp_path / "o")]) == 2
    said = capsys.readouterr().err
    assert "grit" in said
    assert "Traceback" not in said
    with pytest.raises(InputError, match="Did you mean"):
        load_recipe({"steps": [{"step": "sandd"}]})


def test_the_report_the_runs_page_and_the_documents_speak_of_it(made) -> None:
    who = member()
    (run_id,) = keep(who, sanded(made[0]))
    run = services.experiments().run(who.principal, run_id)
    details = json.loads(services.experiments().file(who.principal, run_id, "details.json").read_text("utf-8"))
    html = report(run, details)
    assert "sand the weights with grit 120" in html.lower()
    assert "wet: true" in html
    app = visit("run", who, id=run_id)
    assert not app.exception
    assert "and the weights with grit 120" in seen(app)
    assert "| sand | `grit` |" in markdown()
