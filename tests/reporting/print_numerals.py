"""Word and PDF as pages of markup, so that the numeral rule of the page can be put to them."""

import html
import re
import zipfile

import pandas as pd
import pypdf
from lxml import etree

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
CAPTIONS = {"Caption", "TOC1", "TOC2"}
BOOKMARK = re.compile(r"_v_(v\w+?)_\d+")


def word_page(path):
    """Body of a Word file: numerals inside their bookmarks, exempt runs and captions marked as in a page."""
    with zipfile.ZipFile(path) as package:
        root = etree.fromstring(package.read("word/document.xml"))
    parts = []
    for paragraph in root.iter(f"{W}p"):
        style = paragraph.find(f"{W}pPr/{W}pStyle")
        tag = "caption" if style is not None and style.get(f"{W}val") in CAPTIONS else "p"
        parts.append(f"<{tag}>{''.join(_runs(paragraph))}</{tag}>")
    return "".join(parts)


def _runs(paragraph):
    value_id = ""
    for node in paragraph.iter(f"{W}bookmarkStart", f"{W}bookmarkEnd", f"{W}r"):
        if node.tag == f"{W}bookmarkStart":
            found = BOOKMARK.fullmatch(node.get(f"{W}name"))
            value_id = found.group(1) if found else value_id
        elif node.tag == f"{W}bookmarkEnd":
            value_id = ""
        else:
            text = html.escape("".join(part.text or "" for part in node.iter(f"{W}t")))
            style = node.find(f"{W}rPr/{W}rStyle")
            exempt = style is not None and style.get(f"{W}val") == "wbExempt"
            if value_id:
                yield f'<span data-v="{value_id}">{text}</span>'
            else:
                yield f'<span class="x">{text}</span>' if exempt else text


def pdf_page(numbers):
    """Table of a PDF's numerals as a page."""
    rows = pd.read_parquet(numbers)
    parts = []
    for text, value_id in zip(rows["text"], rows["value_id"], strict=True):
        mark = 'class="x"' if value_id is None else f'data-v="{value_id}"'
        parts.append(f"<p><span {mark}>{html.escape(text)}</span></p>")
    return "".join(parts)


def pages_that_differ(path, numbers):
    """Pages of a PDF whose digits, in reading order, are not those its table of numerals lists.

    Left aside are the page number at the foot and, in the contents, those at the ends of the lines.
    """
    listed = pd.read_parquet(numbers)
    different = []
    for page, content in enumerate(pypdf.PdfReader(path).pages, 1):
        text = re.sub(r"— \d+ —\s*$", "", content.extract_text())
        text = re.sub(r" \.[ .]*\d+$", "", text, flags=re.MULTILINE)  # lines of the contents
        wanted = "".join(re.findall(r"\d", "".join(listed["text"][listed["page"] == page])))
        if "".join(re.findall(r"\d", text)) != wanted:
            different.append(page)
    return different
