import pytest

from workbench.core.errors import DefinitionError, ParameterError
from workbench.reporting.book import books, load_book, notebook_path
from workbench.reporting.run import plan

from .conftest import GOOD


def test_every_shipped_book_names_notebooks_that_are_there():
    assert "annual_checkup" in books()
    for name in books():
        book = load_book(name)
        assert [notebook_path(c, book).suffix for c in book.chapters] == [".ipynb"] * len(book.chapters)


def test_unknown_book_comes_with_the_nearest():
    with pytest.raises(ParameterError, match="did you mean 'annual_checkup'"):
        load_book("anual_checkup")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('title_zh = "甲"\ntitle_en = "A"', "at least one chapter"),
        ('title_zh = "甲"\ntitle_en = "A"\n[[chapters]]\nid = "a"', "notebook, title_en, title_zh"),
        (
            'titel_zh = "甲"\ntitle_en = "A"\n[[chapters]]\nid = "a"\nnotebook = "a"\ntitle_zh = "a"\ntitle_en = "a"',
            "did you mean 'title_zh'",
        ),
        ('title_zh = "甲', "not valid TOML"),
    ],
)
def test_faulty_books_say_what_is_wrong(tmp_path, text, word):
    path = tmp_path / "book.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DefinitionError, match=word):
        load_book(str(path))


def test_same_id_twice_is_refused(desk):
    with pytest.raises(DefinitionError, match="unique"):
        load_book(desk.book(("a", GOOD), ("a", GOOD)))


def test_missing_notebook_is_named(desk):
    path = desk.book(("a", GOOD))
    (desk.root / "annual_checkup-a.ipynb").unlink()
    with pytest.raises(DefinitionError, match=r"annual_checkup-a\.ipynb"):
        plan(path, str(desk.city))
