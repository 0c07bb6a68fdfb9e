"""Finds the digits of a report page that nobody accounts for."""

import re
from html.parser import HTMLParser

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
SILENT = {"style", "script", "title"}
CAPTIONS = {"figcaption", "caption"}
NUMBER = re.compile(r"[+\-−]?\d[\d,]*(?:\.\d+)?")


class Page(HTMLParser):
    """Walks a page; ``loose`` are digits outside numbers and exemptions, ``numbers`` pairs of id and text."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.open, self.loose, self.numbers, self.unclosed = [], [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        if tag in VOID:
            return
        found = dict(attrs)
        exempt = tag in SILENT | CAPTIONS or "x" in (found.get("class") or "").split()
        self.open.append((tag, exempt, found.get("data-v")))

    def handle_endtag(self, tag):
        for at in range(len(self.open) - 1, -1, -1):
            if self.open[at][0] == tag:
                del self.open[at:]
                return
        self.unclosed.append(tag)

    def handle_data(self, data):
        value_id = next((v for _, _, v in reversed(self.open) if v), None)
        if value_id:
            self.numbers.append((value_id, data.strip()))
        elif re.search(r"\d", data) and not any(exempt for _, exempt, _ in self.open):
            self.loose.append(data.strip())


def faults(page, values):
    """Sentences about every digit that is no traceable number, and every number that differs from its row."""
    read = Page(page)
    found = [f"digits without a value id: {text!r}" for text in read.loose]
    rows = values.set_index("value_id")
    for value_id, text in read.numbers:
        if value_id not in rows.index:
            found.append(f"{value_id} is not in the value table: {text!r}")
            continue
        row = rows.loc[value_id]
        shown = NUMBER.fullmatch(text)
        if row["value"] != row["value"] or row["value"] is None:
            if re.search(r"\d", text):
                found.append(f"{value_id} has no value but shows {text!r}")
        elif shown is None:
            found.append(f"{value_id} shows {text!r}, which is no number")
        else:
            number = float(text.replace(",", "").replace("−", "-"))
            decimals = len(text.partition(".")[2])
            if abs(number - float(row["value"])) > 0.5 * 10**-decimals * (1 + 1e-9) + 1e-12:
                found.append(f"{value_id} shows {text!r}, the table has {row['value']}")
    return found
