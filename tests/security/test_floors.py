"""No library is older than the release that mended what it must not have."""

import sqlite3
from importlib.metadata import version

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from core.database import connect
from core.settings import ROOT

FLOORS = {
    "streamlit": "1.67", "keras": "3.15.1", "pillow": "13.0", "starlette": "1.1", "distributed": "2021.10",
    "tornado": "6.5", "bcrypt": "5.0", "argon2-cffi": "25.1", "requests": "2.32.4", "urllib3": "2.5",
    "jinja2": "3.1.6", "protobuf": "6.31.1", "PyJWT": "2.10.1",
}
SQLITE = (3, 51, 3)  # below it two writers of a write-ahead log could damage the file


@pytest.mark.parametrize(("name", "floor"), FLOORS.items())
def test_installed_versions_are_not_below_the_floor(name: str, floor: str) -> None:
    assert Version(version(name)) >= Version(floor)


def test_every_requirement_is_pinned_exactly_and_installed_so() -> None:
    for line in (ROOT / "requirements.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            assert [part.operator for part in requirement.specifier] == ["=="], line
            assert version(requirement.name) in requirement.specifier, line


def test_the_database_runs_on_a_mended_sqlite(sqlite_url: str) -> None:
    engine = connect(sqlite_url)
    with engine.connect() as connection:
        found = connection.exec_driver_sql("select sqlite_version()").scalar_one()
    engine.dispose()
    assert tuple(map(int, found.split("."))) >= SQLITE, f"Python's own is {sqlite3.sqlite_version}"
