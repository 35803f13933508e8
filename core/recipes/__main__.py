"""Write the table of every step's fields into ``docs/methods.md``: ``python -m core.recipes``."""

from __future__ import annotations

from pathlib import Path

from core.recipes.schema import markdown
from core.settings import ROOT

MARK = "<!-- fields -->\n"
DOCUMENT = ROOT / "docs" / "methods.md"


def with_table(text: str) -> str:
    """Return the document with everything after its mark replaced by the table."""
    return text.split(MARK)[0] + MARK + "\n" + markdown() + "\n"


def main(path: Path = DOCUMENT) -> None:
    """Rewrite the document."""
    path.write_text(with_table(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
