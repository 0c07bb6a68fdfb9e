"""Makes report.png of the README: two screens of a finished report, side by side, as a browser draws them.

Usage: ``.venv/bin/python docs/images/report_png.py reports/demo/2025/latest/report.html`` (needs ``chromium``).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

WIDTH, HEIGHT = 1120, 1480
CHAPTERS = ("ch-overview", "ch-city_checkup")
OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--hide-scrollbars"
)


def screen(page: str, chapter: str, folder: Path) -> Image.Image:
    """Top of one chapter of a report page."""
    hide = (
        f".cover, .toc, section.chapter:not(#{chapter}) {{ display: none; }} "
        "section.chapter { padding-top: 34px !important; }"
    )
    source = folder / f"{chapter}.html"
    source.write_text(page.replace("</style>", hide + "</style>", 1), encoding="utf-8")
    target = folder / f"{chapter}.png"
    command = ["chromium", *OPTIONS.split(), f"--user-data-dir={folder / 'profile'}"]
    command += [f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={target}", source.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=180)
    return Image.open(target).convert("RGB").crop((0, 0, WIDTH, HEIGHT))


def main() -> None:
    """Write ``report.png`` beside this file."""
    page = Path(sys.argv[1]).read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as name:
        screens = [screen(page, chapter, Path(name)) for chapter in CHAPTERS]
    whole = Image.new("RGB", (WIDTH * 2 + 24, HEIGHT), "#c9d1d9")
    for at, one in enumerate(screens):
        whole.paste(one, (at * (WIDTH + 24), 0))
    whole = whole.resize((1480, round(1480 * HEIGHT / whole.width)), Image.Resampling.LANCZOS)
    whole.save(Path(__file__).with_name("report.png"), optimize=True)


if __name__ == "__main__":
    main()
