"""What the program's own text may not contain."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from core.settings import ROOT

PROGRAM = [ROOT / "app.py", *sorted((ROOT / "core").rglob("*.py")), *sorted((ROOT / "pages").rglob("*.py"))]
RESTRICTED_UNPICKLER = ROOT / "core" / "engine" / "weights.py"
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "torch"}
FORBIDDEN_CALLS = {"eval", "exec", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "os.system", "os.popen",
                   "st.html", "components.html", "st.iframe"}
FORBIDDEN_METHODS = {"extractall"}
FORBIDDEN_ARGUMENTS = {"unsafe_allow_html", "shell", "allow_pickle", "unsafe_allow_javascript"}
SECRETS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}|\bxox[abprs]-[A-Za-z0-9-]{10,}"
    r"|\bsk-[A-Za-z0-9]{32,}|\bAIza[0-9A-Za-z_-]{35}|\bey[A-Za-z0-9_-]{10,}\.ey[A-Za-z0-9_-]{10,}\."
    r"|(?i:cookie_key|secret_key|api_key|access_token)\s*[:=]\s*[\"'][A-Za-z0-9+/_=-]{32,}[\"']"
)


def found(source: str) -> list[str]:
    """Name each forbidden construct of a module's text."""
    hits = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            hits += [name.name for name in node.names if name.name.partition(".")[0] in FORBIDDEN_MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in FORBIDDEN_MODULES:
            hits.append(str(node.module))
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in FORBIDDEN_CALLS or called.rpartition(".")[2] in FORBIDDEN_METHODS:
                hits.append(called)
            hits += [
                f"{called}({word.arg}=...)" for word in node.keywords if word.arg in FORBIDDEN_ARGUMENTS
                and not (isinstance(word.value, ast.Constant) and word.value.value is False)
            ]
    return hits


@pytest.mark.parametrize("line", [
    "import pickle", "from joblib import load", "eval(x)", "yaml.load(x)", "archive.extractall(p)",
    "st.markdown(x, unsafe_allow_html=True)", "run(x, shell=flag)", "np.load(p, allow_pickle=True)", "st.html(name)",
])
def test_the_search_finds_what_it_is_for(line: str) -> None:
    assert found(line)


@pytest.mark.parametrize("path", PROGRAM, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_construct_that_runs_data(path: Path) -> None:
    hits = found(path.read_text("utf-8"))
    if path == RESTRICTED_UNPICKLER:  # admits three names; see tests/unit/engine/test_base_weights.py
        hits = [hit for hit in hits if hit != "pickle"]
    assert hits == []


def test_the_security_rules_of_ruff_find_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--select", "S", "--no-cache", "app.py", "core", "pages", "migrations"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )
    assert done.returncode == 0, done.stdout


def tracked() -> list[Path]:
    """Return the files of the repository, or of the folder where it is no repository."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        folders = ("core", "pages", "tests", "docs", ".streamlit")
        return [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name]


@pytest.mark.parametrize("text", ["-----BEGIN RSA " + "PRIVATE KEY-----", "AKIA" + "A1" * 8,
                                  "cookie_key = '" + "q7" * 20 + "'"])
def test_the_scan_knows_a_secret(text: str) -> None:
    assert SECRETS.search(text)


def test_no_secret_is_in_the_repository() -> None:
    for path in tracked():
        if path.is_file() and path.stat().st_size < 2_000_000:
            text = path.read_bytes().decode("utf-8", "ignore")
            assert not SECRETS.search(text), path.relative_to(ROOT)
    names = {path.name for path in tracked()}
    assert not names & {"secrets.toml", ".env", "cookie.key", "id_rsa"}
