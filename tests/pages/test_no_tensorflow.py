import subprocess
import sys

from tests.prepared import ROOT, link_models

_SCRIPT = """
import sys
from tests.pages.studio import page, texts
test = page("classify").run()
test.button_group(key="classify.sample").set_value("coffee").run()
assert not test.exception and "espresso" in texts(test), texts(test)
from streamlit.testing.v1 import AppTest
models = page("models", user="ibis").run()
assert not models.exception
heavy = sorted(name for name in ("tensorflow", "tf_keras", "keras", "h5py", "torch", "sklearn", "skimage",
                                 "scipy", "core.engine", "distributed") if name in sys.modules)
print("HEAVY", heavy)
"""


def test_classifying_a_photo_imports_no_tensorflow(models, tmp_path, monkeypatch):
    monkeypatch.setenv("SECATEUR_HOME", str(link_models(models, tmp_path / "home")))
    done = subprocess.run([sys.executable, "-c", _SCRIPT], cwd=ROOT, capture_output=True, text=True,
                          timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "HEAVY []" in done.stdout, done.stdout
