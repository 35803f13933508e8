"""What the real server process holds after fifty photos, each by Streamlit's own protocol."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.load import people, photos, server
from benchmarks.streamlit_client import Session
from tests.prepared import link_models


async def _classify(port, token, pictures):
    async with Session(port, token) as tab:
        await tab.open("classify")
        for number, picture in enumerate(pictures):
            await tab.upload("classify.files", f"photo{number}.jpg", picture)
            assert not tab.screen.errors
            assert any("medians of a few runs" in text for text in tab.screen.texts)


def test_fifty_photos_leave_the_server_small_and_without_tensorflow(models, tmp_path, monkeypatch):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    home = link_models(models, tmp_path / "home")
    token = people(home, 1)[0]
    with server(home) as (port, process):
        # A thread of its own: a browser test of the same session may have left a loop in this one.
        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, _classify(port, token, photos(50, seed=5))).result()
        loaded = Path(f"/proc/{process.pid}/maps").read_text()
        assert "tensorflow" not in loaded
        assert "ai_edge_litert" in loaded
        assert process.memory_info().rss < 250e6
