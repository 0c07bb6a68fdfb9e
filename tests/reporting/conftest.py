from pathlib import Path

import nbformat
import pytest

HERE = Path(__file__).parent
PARAMETERS = 'city: str = "tiny"  # profile\nyear: int = 2025  # year\nlang: str = "zh"  # language\nrun_dir: str = ""  # run\nlimit: int = 3  # rows'
PROFILE = """
[city]
name = "tiny"
name_zh = "小镇"
name_en = "Tiny Town"
crs = "EPSG:4547"
base_year = 2020
years = [2024, 2025]
data = "tiny-data"
"""
GOOD = 'from IPython.display import HTML, display\ndisplay(HTML(f\'<p>{city and lang} <span class="num" data-v="vaaaaaaaaaa">1,234.6</span></p><table class="wb-table"><caption>表题</caption><tr><td>甲</td></tr></table>\'))'


def write_notebook(path: Path, *cells: str, tags: dict[int, list[str]] | None = None) -> Path:
    """A notebook with the parameters cell first."""
    notebook = nbformat.v4.new_notebook(
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "language_info": {"name": "python"},
        }
    )
    for index, source in enumerate([PARAMETERS, *cells]):
        cell = nbformat.v4.new_code_cell(source, id=f"cell-{index}")
        cell.metadata["tags"] = ["parameters"] if index == 0 else (tags or {}).get(index, [])
        if index == 1:
            cell.metadata["report"] = {"zh": "第一节", "en": "First section"}
        notebook.cells.append(cell)
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


class Desk:
    """A home with a city, a book and notebooks of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.city = root / "tiny.toml"
        self.city.write_text(PROFILE, encoding="utf-8")
        (root / "tiny-data").mkdir(exist_ok=True)
        self.out = root / "reports"

    def book(
        self, *chapters: tuple[str, str], name: str = "annual_checkup", extra: dict[str, str] | None = None
    ) -> str:
        """A book whose chapters are ``(id, code)``; ``extra`` adds TOML lines to a chapter."""
        lines = [
            'title_zh = "年度体检"',
            'title_en = "Annual checkup"',
            'notice_zh = "指标释义未经标准原文核对"',
        ]
        for chapter, code in chapters:
            write_notebook(self.root / f"{name}-{chapter}.ipynb", code)
            lines += [
                "[[chapters]]",
                f'id = "{chapter}"',
                f'notebook = "{name}-{chapter}.ipynb"',
                f'title_zh = "章 {chapter}"',
                f'title_en = "Chapter {chapter}"',
            ]
            lines += [(extra or {}).get(chapter, "")]
        path = self.root / f"{name}.toml"
        path.write_text("\n".join(lines), encoding="utf-8")
        return str(path)


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    return Desk(tmp_path)
