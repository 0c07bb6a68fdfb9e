"""A picture ready for a page: PNG bytes with alternative text and caption."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.core.paths import atomic_write
from workbench.views.html import Html, element, escape

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MplFigure


@dataclass(frozen=True)
class Figure:
    """A finished picture. The same data give the same bytes."""

    png: bytes
    """The picture as PNG."""
    alt: str
    """What a reader who cannot see the picture is told."""
    caption: Html
    """Line below the picture, as markup."""
    sensitivity: str = ""
    """Strictest sensitivity of what is drawn; empty when not stated, and then it is not for the public."""
    review: str = ""
    """Slot for the review number of a map that shows administrative boundaries; empty for other pictures."""

    @property
    def html(self) -> Html:
        """``<figure>`` with the picture inside the page, no file beside it."""
        data = base64.b64encode(self.png).decode("ascii")
        image = Html(f'<img src="data:image/png;base64,{data}" alt="{escape(self.alt)}">')
        slot = element("p", self.review, css="wb-review x") if self.review else Html("")
        state = {
            "data-sensitivity": self.sensitivity or None,
            "data-boundaries": "districts" if self.review else None,
        }
        return element("figure", image + slot + element("figcaption", self.caption), state, css="wb-figure")

    def _repr_html_(self) -> str:
        return str(self.html)

    def save(self, path: str | Path) -> Path:
        """Write the PNG; the file is whole or not there."""
        target = Path(path)
        with atomic_write(target) as temporary:
            temporary.write_bytes(self.png)
        return target


def render(
    figure: MplFigure,
    *,
    alt: str,
    caption: Html,
    dpi: int = 150,
    colours: int = 0,
    sensitivity: str = "",
    review: str = "",
) -> Figure:
    """Draw a Matplotlib figure to PNG without date or program name, so that bytes are repeatable.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Made without pyplot; nothing stays open.
    alt, caption : str, Html
        Words that go with the picture.
    dpi : int
        Dots per inch.
    colours : int
        Palette size to reduce to (smaller file); 0 keeps full colour.
    sensitivity, review : str
        Strictest sensitivity of what is drawn; slot for a map's review number.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    figure.set_dpi(dpi)
    canvas.draw()
    image = Image.frombuffer("RGBA", canvas.get_width_height(), bytes(canvas.buffer_rgba())).convert("RGB")
    if colours:
        image = image.quantize(colours, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True, dpi=(dpi, dpi))
    return Figure(out.getvalue(), alt, caption, sensitivity, review)
