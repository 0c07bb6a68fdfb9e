"""Standalone Voilà with a login: the only server officials meet.

It shows one notebook, its sources stripped. There is no file server, no code can be sent to a kernel, nothing is
asked of another host; idle kernels end by themselves.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tornado.web import HTTPError, RequestHandler
from traitlets.config import Config
from voila.app import Voila

from workbench.core.city import load_city
from workbench.core.errors import ParameterError
from workbench.core.paths import PACKAGE, cache_dir, home
from workbench.dashboard.access import OnePassword, dashboard_password, hash_password
from workbench.dashboard.address import Address, read_address
from workbench.dashboard.notebook import prepare
from workbench.reporting.fonts import embedded_font
from workbench.views.text import strings

log = logging.getLogger(__name__)

IDLE_S = 900
"""A kernel without a visitor for so long ends."""


def common_letters() -> str:
    """Letters the pages' font carries: the commonest 3,755 characters (GB 2312, level one) and those of our texts."""
    level_one = "".join(
        bytes((row, cell)).decode("gb2312", errors="ignore")
        for row in range(0xB0, 0xD8)
        for cell in range(0xA1, 0xFF)
    )
    signs = "，。、；：？！（）〔〕【】《》“”‘’—…·％‰℃²³≥≤±×→▲▼■△✓–¥€"
    words = "".join(word for pair in strings().values() for word in pair.values())
    return "".join(sorted(set(level_one + signs + words)))


class FontHandler(RequestHandler):  # type: ignore[misc]
    """The packaged Chinese font; it needs no login, the login page is written in it."""

    def get(self) -> None:
        """Send the font, to be kept by the browser."""
        self.set_header("Content-Type", "font/woff")
        self.set_header("Cache-Control", "public, max-age=604800")
        self.finish(embedded_font(common_letters()))


class Dashboard(Voila):  # type: ignore[misc]
    """Voilà with the font beside it."""

    name = "voila"

    def init_handlers(self) -> list[Any]:
        """Return Voilà's handlers and the font's."""
        return [(rf"{self.server_url}workbench/font\.woff", FontHandler), *super().init_handlers()]


def find_notebook(name: str) -> Path:
    """Path of a notebook given as a path or as ``folder/name`` below ``notebooks/``.

    Raises
    ------
    ParameterError
        There is no such notebook.
    """
    tried = [Path(name)]
    for root in (home(), PACKAGE.parent):
        tried.append(root / "notebooks" / name)
        tried.append(root / "notebooks" / f"{name}.ipynb")
    for path in tried:
        if path.suffix == ".ipynb" and path.is_file():
            return path.resolve()
    raise ParameterError(
        "no such notebook", where="notebook", found=name, expected="a notebook in notebooks/"
    )


def warm(city: str, year: int) -> Path:
    """Make the checkup a page opens with and keep it in the cache; pages then only read.

    Returns
    -------
    Path
        Folder with the checkup's values and findings.
    """
    from workbench.evaluation.checkup import checkup

    result = checkup(city, year)
    return Path(result.save(cache_dir() / "dashboard" / f"{result.city.name}-{year}"))


def hook(
    default: Address, offered: dict[str, list[int]], folder: Callable[[str, int], str]
) -> Callable[..., Any]:
    """Function Voilà calls before a page's kernel starts: address checked, parameters set, report cells dropped."""

    def before_launch(request: Any, notebook: Any, cwd: str) -> Any:
        try:
            address = read_address(request.request.query, default, offered)
        except ParameterError as error:
            log.warning("address refused: %s", error)
            raise HTTPError(400) from None
        return prepare(notebook, address, folder(address.city, address.year))

    return before_launch


def configuration(
    default: Address,
    offered: dict[str, list[int]],
    folder: Callable[[str, int], str],
    *,
    host: str,
    port: int,
    hashed_password: str,
    open_browser: bool,
) -> Config:
    """Settings of the server, in one place."""
    config = Config()
    config.Voila.ip = host
    config.Voila.port = port
    config.Voila.port_retries = 0
    config.Voila.open_browser = open_browser
    config.Voila.auto_token = False
    config.Voila.identity_provider_class = OnePassword
    config.OnePassword.hashed_password = hashed_password
    config.OnePassword.language = default.lang
    config.VoilaConfiguration.template = "workbench"
    config.VoilaConfiguration.allow_template_override = "NO"
    config.VoilaConfiguration.allow_theme_override = "NO"
    config.VoilaConfiguration.strip_sources = True
    config.VoilaConfiguration.show_tracebacks = False
    config.VoilaConfiguration.file_allowlist = []
    config.VoilaConfiguration.file_denylist = [".*"]
    config.VoilaConfiguration.prelaunch_hook = hook(default, offered, folder)
    config.MappingKernelManager.cull_idle_timeout = IDLE_S
    config.MappingKernelManager.cull_interval = 60
    config.VoilaKernelManager.cull_idle_timeout = IDLE_S
    config.VoilaKernelManager.cull_interval = 60
    return config


def jupyter_path() -> str:
    """Value of ``JUPYTER_PATH`` with which templates and kernels are found without installing them."""
    roots = [Path(__file__).parent / "jupyter", home(), PACKAGE.parent]
    known = os.environ.get("JUPYTER_PATH", "").split(os.pathsep)
    return os.pathsep.join(dict.fromkeys([*map(str, roots), *filter(None, known)]))


def main(
    notebook: str,
    city: str = "demo",
    year: int | None = None,
    port: int = 8866,
    host: str = "127.0.0.1",
    password: str | None = None,
    open_browser: bool = False,
    lang: str = "zh",
) -> None:
    """Serve a notebook as a dashboard with a login, until interrupted.

    Parameters
    ----------
    notebook : str
        Path, or ``folder/name`` below ``notebooks/``.
    city : str
        Name or path of the profile a page opens with.
    year : int, optional
        Year of the checkup; the profile's latest when not given.
    port, host : int, str
        Where the server listens; by default on this machine only.
    password : str, optional
        Password; else ``$WORKBENCH_DASHBOARD_PASSWORD``, else a generated one.
    open_browser : bool
        Open a browser on this machine.
    lang : {"zh", "en"}
        Language a page opens with.

    Raises
    ------
    ParameterError
        No such notebook, or a year the profile has no checkup for.
    """
    path = find_notebook(notebook)
    profile = load_city(city)
    chosen = profile.latest_year if year is None else year
    if chosen not in profile.years:
        raise ParameterError(
            "no checkup for this year", where="year", found=chosen, expected=str(list(profile.years))
        )
    secret, secret_file = dashboard_password(password)
    os.environ["JUPYTER_PATH"] = jupyter_path()
    os.environ.setdefault("WORKBENCH_HOME", str(home()))
    warmed: dict[tuple[str, int], str] = {(city, chosen): str(warm(city, chosen))}
    embedded_font(common_letters())
    config = configuration(
        Address(city, chosen, lang),
        {city: [int(one) for one in profile.years]},
        lambda name, one: warmed.get((name, one), ""),
        host=host,
        port=port,
        hashed_password=hash_password(secret),
        open_browser=open_browser,
    )
    log.warning("dashboard of %s %s: http://%s:%s/", profile.name, chosen, host, port)
    if secret_file is not None:
        log.warning("the password lies in %s", secret_file)
    run(path, config)


def run(path: Path, config: Config) -> None:
    """Start the server; returns when it is stopped."""
    app = Dashboard(config=config)
    app.initialize([str(path)])
    app.start()
