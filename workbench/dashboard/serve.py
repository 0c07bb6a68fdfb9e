"""Standalone Voilà with a login: the only server officials meet.

It shows one notebook, its sources stripped. There is no file server, no code can be sent to a kernel, nothing is
asked of another host; idle kernels end by themselves.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import tornado.ioloop
from jupyter_server.base.handlers import JupyterHandler
from tornado.web import HTTPError, RequestHandler, authenticated
from traitlets import Any as AnyTrait
from traitlets.config import Config
from voila.app import Voila

from workbench.core.city import City, load_city
from workbench.core.errors import ParameterError, RunError, WorkbenchError
from workbench.core.paths import PACKAGE, cache_dir, home
from workbench.dashboard.about import report_page
from workbench.dashboard.access import (
    PASSWORD_VARIABLE,
    OnePassword,
    dashboard_password,
    hash_password,
)
from workbench.dashboard.address import Address, read_address
from workbench.dashboard.notebook import PRELUDE, check, imports, prepare
from workbench.dashboard.pool import WarmKernels
from workbench.reporting.fonts import embedded_font
from workbench.views.text import plain, strings

if TYPE_CHECKING:
    from workbench.evaluation.checkup import Checkup

log = logging.getLogger(__name__)

IDLE_S = 900
"""A kernel without a visitor for so long ends."""
SPARE = 2
"""Kernels kept ready for the next visitors."""
EXTENSIONS = ("@jupyter-widgets/jupyterlab-manager", "@voila-dashboards/widgets-manager8", "jupyter-leaflet")
"""What the browser loads besides Voilà itself: widgets and maps."""
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' ws: wss:; frame-ancestors 'self'"
)
"""What a page may load, enforced by the browser: nothing of another host."""
LOCAL = ("127.0.0.1", "localhost", "::1")


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


class ReportHandler(JupyterHandler):  # type: ignore[misc]
    """The latest annual report of the city and year asked for, to those who are logged in; no other file."""

    def initialize(self, find: Callable[[str], Path | None]) -> None:
        """Take the function that finds the page of a query."""
        self._find = find

    @authenticated
    def get(self) -> None:
        """Send the report's page."""
        try:
            page = self._find(self.request.query)
        except ParameterError as error:
            log.warning("address refused: %s", error)
            raise HTTPError(400) from None
        if page is None:
            raise HTTPError(404)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        self.finish(page.read_bytes())


def _trust_unsaid(record: logging.LogRecord) -> bool:
    """Drop the remark that a notebook is not trusted: its outputs are never shown, its cells are our own."""
    return "is not trusted" not in str(record.msg)


class Dashboard(Voila):  # type: ignore[misc]
    """Voilà with the font beside it, compressed answers, and kernels kept ready."""

    name = "voila"
    reports = AnyTrait(None, allow_none=True, config=True, help="Function that finds the report of a query.")

    def init_settings(self) -> dict[str, Any]:
        """Return Voilà's settings, with compression and the policy of what a page may load."""
        headers = {
            "Content-Security-Policy": POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
        }
        return {**super().init_settings(), "compress_response": True, "headers": headers}

    def init_handlers(self) -> list[Any]:
        """Return Voilà's handlers and the font's."""
        own: list[Any] = [(rf"{self.server_url}workbench/font\.woff", FontHandler)]
        if self.reports is not None:
            own.append((rf"{self.server_url}workbench/report", ReportHandler, {"find": self.reports}))
        return [*own, *super().init_handlers()]

    def listen(self) -> None:
        """Serve until SIGINT or SIGTERM; spare kernels start as soon as the loop runs, every kernel ends with it."""
        self.ioloop = tornado.ioloop.IOLoop.current()
        for number in (signal.SIGINT, signal.SIGTERM):  # a shell starts background jobs with SIGINT ignored
            signal.signal(number, self._handle_signal_stop)
        self.log.addFilter(_trust_unsaid)
        fill = getattr(self.kernel_manager, "fill", None)
        if fill is not None:
            tornado.ioloop.IOLoop.current().add_callback(fill)
        super().listen()


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


@dataclass
class Shown:
    """A checkup a page can show, and where it lies for the page's kernel."""

    checkup: Checkup
    """Values and findings."""
    folder: str
    """Folder they were saved in."""
    views: dict[str, str] = field(default_factory=dict)
    """First views made so far, by language."""

    def first_view(self, lang: str) -> str:
        """Header, cards, list and table, to be read while the page's kernel makes the map."""
        from workbench.dashboard.panel import first_view

        if lang not in self.views:
            self.views[lang] = str(first_view(self.checkup, lang))
        return self.views[lang]


def warm(city: str, year: int) -> Shown:
    """Make the checkup a page shows and keep it in the cache; pages then only read."""
    from workbench.evaluation.checkup import checkup

    result = checkup(city, year)
    folder = result.save(cache_dir() / "dashboard" / f"{result.city.name}-{year}")
    return Shown(result, str(folder))


@dataclass
class Site:
    """What the server shows: a city, its years, and the page's words that are known before a kernel runs."""

    default: Address
    """What an address without parameters asks for."""
    years: list[int]
    """Years offered."""
    shown: Mapping[int, Shown] = field(default_factory=dict)
    """Checkups by year."""

    @cached_property
    def offered(self) -> dict[str, list[int]]:
        """The only cities and years that are answered."""
        return {self.default.city: self.years}

    def folder(self, address: Address) -> str:
        """Folder of the checkup; empty: the kernel makes it."""
        found = self.shown.get(address.year)
        return found.folder if found else ""

    def report(self, query: str) -> Path | None:
        """Page of the report a query asks for; None while there is none.

        Raises
        ------
        ParameterError
            The query asks for something that is not served.
        """
        address = read_address(query, self.default, self.offered)
        found = self.shown.get(address.year)
        return report_page(found.checkup.city.name if found else address.city, address.year)

    def words(self, address: Address) -> dict[str, Any]:
        """Title, links and first view for the template."""
        lang = address.lang
        found = self.shown.get(address.year)
        city = found.checkup.city if found else None
        page = plain("dashboard.page", lang)
        other = "en" if lang == "zh" else "zh"
        return {
            "title": f"{city.name_zh if lang == 'zh' else city.name_en} · {page}" if city else page,
            "lang": "zh-CN" if lang == "zh" else "en",
            "loading": plain("dashboard.loading", lang),
            "failed": plain("dashboard.failed", lang),
            "logout": plain("dashboard.logout", lang),
            "years_label": plain("dashboard.years", lang),
            "years": [
                {"label": str(one), "href": _link(one, lang), "on": one == address.year}
                for one in sorted(self.years)
            ],
            "other_lang": {"label": plain("dashboard.other_lang", lang), "href": _link(address.year, other)},
            "report": self._report_link(address),
            "first": found.first_view(lang) if found else "",
        }

    def _report_link(self, address: Address) -> dict[str, str] | None:
        """Words and address of the whole report; None while there is none."""
        link = _link(address.year, address.lang)
        if self.report(link.removeprefix("?")) is None:
            return None
        return {"label": plain("dashboard.report", address.lang), "href": f"workbench/report{link}"}


def _link(year: int, lang: str) -> str:
    return "?" + urlencode({"year": year, "lang": lang})


def hook(site: Site) -> Callable[..., Any]:
    """Function Voilà calls before a page's kernel starts: address checked, parameters set, report cells dropped."""

    def before_launch(request: Any, notebook: Any, cwd: str) -> Any:
        try:
            address = read_address(request.request.query, site.default, site.offered)
        except ParameterError as error:
            log.warning("address refused: %s", error)
            raise HTTPError(400) from None
        page = prepare(notebook, address, site.folder(address))
        page["metadata"]["workbench"] = site.words(address)
        return page

    return before_launch


def configuration(
    site: Site,
    *,
    host: str,
    port: int,
    hashed_password: str,
    open_browser: bool,
    kernel: str = "",
    opening: str = "",
    spare: int = 0,
) -> Config:
    """Settings of the server, in one place."""
    config = Config()
    config.Voila.ip = host
    config.Voila.port = port
    config.Voila.port_retries = 0
    config.Voila.open_browser = open_browser
    config.Voila.auto_token = False
    config.Voila.log_level = logging.WARNING
    config.Dashboard.reports = site.report
    config.Voila.identity_provider_class = OnePassword
    config.OnePassword.hashed_password = hashed_password
    config.OnePassword.language = site.default.lang
    config.VoilaConfiguration.template = "workbench"
    config.VoilaConfiguration.allow_template_override = "NO"
    config.VoilaConfiguration.allow_theme_override = "NO"
    config.VoilaConfiguration.strip_sources = True
    config.VoilaConfiguration.show_tracebacks = False
    config.VoilaConfiguration.file_allowlist = []
    config.VoilaConfiguration.file_denylist = [".*"]
    config.VoilaConfiguration.extension_allowlist = list(EXTENSIONS)
    config.VoilaConfiguration.prelaunch_hook = hook(site)
    config.VoilaConfiguration.multi_kernel_manager_class = WarmKernels
    config.WarmKernels.kernel = kernel
    config.WarmKernels.opening = opening
    config.WarmKernels.spare = spare
    config.MappingKernelManager.cull_idle_timeout = IDLE_S
    config.MappingKernelManager.cull_interval = 60
    return config


def jupyter_path() -> str:
    """Value of ``JUPYTER_PATH`` with which templates and kernels are found without installing them."""
    roots = [Path(__file__).parent / "jupyter", home(), PACKAGE.parent]
    known = os.environ.get("JUPYTER_PATH", "").split(os.pathsep)
    return os.pathsep.join(dict.fromkeys([*map(str, roots), *filter(None, known)]))


def check_port(host: str, port: int) -> None:
    """Make sure the server can listen, before anything is computed.

    Raises
    ------
    RunError
        The port is in use, or may not be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise RunError(
                f"cannot listen there: {error.strerror or error}",
                where=f"{host}:{port}",
                hint="another program uses the port? choose another with --port (make dashboard PORT=…)",
            ) from None


def read_page(path: Path) -> Any:
    """The notebook of a page, after making sure that it can be one.

    Raises
    ------
    ParameterError
        The file is no notebook, or the notebook is no dashboard.
    """
    import nbformat

    try:
        page = nbformat.read(path, as_version=4)
    except (nbformat.reader.NotJSONError, nbformat.ValidationError) as error:
        first = str(error).splitlines()[0][:120]
        raise ParameterError("this file is not a notebook", where=str(path), found=first) from None
    check(page, str(path))
    return page


def checkups(city: City, name: str, year: int, say: Callable[[str], None]) -> dict[int, Shown]:
    """Checkups of every year the dashboard offers, the wanted one first; years without data are left out.

    Raises
    ------
    WorkbenchError
        The checkup of the wanted year cannot be made.
    """
    made: dict[int, Shown] = {}
    for one in [year, *sorted(set(city.years) - {year}, reverse=True)]:
        say(f"{city.name_zh} ({city.name}): checkup of {one} …")
        try:
            made[one] = warm(name, one)
        except WorkbenchError as error:
            if one == year:
                raise
            say(f"  left out: {error}")
    return made


def main(
    notebook: str,
    city: str = "demo",
    year: int | None = None,
    port: int = 8866,
    host: str = "127.0.0.1",
    password: str | None = None,
    open_browser: bool = False,
    lang: str = "zh",
    say: Callable[[str], None] = log.warning,
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
    say : callable
        Tells the person at the terminal what is being done, the address, and where the password is.

    Raises
    ------
    ParameterError
        No such notebook, a notebook without a dashboard, or a year the profile has no checkup for.
    RunError
        The port cannot be used.
    """
    path = find_notebook(notebook)
    page = read_page(path)
    profile = load_city(city)
    chosen = profile.latest_year if year is None else profile.check_year(year)
    check_port(host, port)
    secret, secret_file = dashboard_password(password)
    os.environ.pop(PASSWORD_VARIABLE, None)  # kernels inherit the environment
    os.environ["JUPYTER_PATH"] = jupyter_path()
    os.environ.setdefault("WORKBENCH_HOME", str(home()))
    shown = checkups(profile, city, chosen, say)
    embedded_font(common_letters())
    site = Site(Address(city, chosen, lang), sorted(shown), shown)
    opening = [PRELUDE, imports(page), "from workbench.dashboard.panel import rehearse"]
    opening.append(f"rehearse({shown[chosen].folder!r}, {lang!r})")
    config = configuration(
        site,
        host=host,
        port=port,
        hashed_password=hash_password(secret),
        open_browser=open_browser,
        kernel=str(page["metadata"]["kernelspec"]["name"]),
        opening="\n".join(opening),
        spare=SPARE,
    )
    for line in announcement(profile.title(lang), host, port, secret, secret_file):
        say(line)
    run(path, config)


def announcement(city: str, host: str, port: int, secret: str, secret_file: Path | None) -> list[str]:
    """What the person at the terminal is told: address, password, how to stop."""
    where = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
    if secret_file is None:
        told = f"the one given (${PASSWORD_VARIABLE})"
    else:
        told = f"{secret}   (kept in {secret_file}; choose your own with ${PASSWORD_VARIABLE})"
    lines = ["", f"  {city}", f"  address   {where}", f"  password  {told}"]
    if host not in LOCAL:
        lines.append("  note      other machines can reach it, unencrypted: put it behind an https proxy")
    return [*lines, "  stop      Ctrl-C", ""]


def run(path: Path, config: Config) -> None:
    """Start the server; returns when it is stopped."""
    app = Dashboard(config=config)
    app.initialize([str(path)])
    app.start()
