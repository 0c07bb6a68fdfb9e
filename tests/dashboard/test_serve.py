"""A real server on a free port, with a notebook that needs no city: login, page, address, sources, files."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from jupyter_client.kernelspec import KernelSpecManager
from nbformat import write
from nbformat.v4 import new_code_cell, new_notebook

from workbench.core.errors import ParameterError, RunError
from workbench.core.paths import PACKAGE
from workbench.dashboard import serve
from workbench.dashboard.access import OnePassword, dashboard_password, hash_password

PAGE = {"tags": ["dashboard"]}
SCRIPT = """
import os, sys
from pathlib import Path
from workbench.dashboard import serve
os.environ["JUPYTER_PATH"] = serve.jupyter_path()
site = serve.Site(serve.Address("demo", 2025, "zh"), [2024, 2025])
config = serve.configuration(
    site, host="127.0.0.1", port=int(sys.argv[2]), hashed_password=serve.hash_password("open sesame"),
    open_browser=False, kernel="workbench-cpu", opening="from pathlib import Path; WARM = 'spare'", spare=1,
)
serve.run(Path(sys.argv[1]), config)
"""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("serve")
    cells = [
        new_code_cell("city = ''\nyear = 0\nlang = ''\nrun_dir = ''", metadata={"tags": ["parameters"]}),
        new_code_cell("raise SystemError('never run')", metadata={"tags": ["report"]}),
        new_code_cell(
            "from IPython.display import HTML\nHTML(f'<p>answer={city}:{year * 2}:{lang}:{globals().get(\"WARM\")}</p>')",
            metadata=PAGE,
        ),
        new_code_cell(
            "secret_name = 1\nif year == 2024:\n    raise SystemError('hidden cause')", metadata=PAGE
        ),
    ]
    spec = {"kernelspec": {"name": "workbench-cpu", "display_name": "x", "language": "python"}}
    write(new_notebook(cells=cells, metadata=spec), folder / "page.ipynb")
    page = folder / "reports" / "demo" / "2025" / "latest" / "report.html"
    page.parent.mkdir(parents=True)
    page.write_text("<p>report of 2025</p>")
    port = _free_port()
    environment = {**os.environ, "WORKBENCH_HOME": str(folder)}
    command = [sys.executable, "-c", SCRIPT, str(folder / "page.ipynb"), str(port)]
    with (
        open(folder / "log", "wb") as log,
        subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log) as server,
    ):
        url = f"http://127.0.0.1:{port}"
        for _ in range(480):
            if server.poll() is not None:
                break
            try:
                requests.get(f"{url}/login", timeout=5)
                break
            except requests.ConnectionError:
                time.sleep(0.25)
        try:
            assert server.poll() is None, (folder / "log").read_text()
            yield url
        finally:
            children = _children(server.pid)
            server.terminate()
            try:
                server.wait(timeout=60)
            except subprocess.TimeoutExpired:
                server.kill()
                raise
        log_text = (folder / "log").read_text()
        assert "eavesdropping" not in log_text and "not trusted" not in log_text
        assert not [pid for pid in children if _alive(pid)], "a kernel outlived the server"


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_server_in_the_background_can_be_stopped(number: signal.Signals) -> None:
    """A shell starts background jobs with SIGINT ignored; the server listens to it all the same."""
    code = (
        "import asyncio, os, signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "import tornado.ioloop\nfrom workbench.dashboard.serve import Dashboard\n"
        "app = Dashboard()\napp.app = type('App', (), {'listen': lambda *_: None})()\n"
        "app.initialize([])\napp.identity_provider = type('Nobody', (), {'token': ''})()\n"
        "app.kernel_manager, ended = None, []\napp.stop = lambda: ended.append(1)\n"
        f"tornado.ioloop.IOLoop.current().call_later(0.2, os.kill, os.getpid(), {int(number)})\n"
        "app.listen()\nassert ended == [1]\nprint('ended well')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "ended well", done.stderr


def test_the_report_is_found_by_city_and_year(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    site = serve.Site(serve.Address("demo", 2025), [2024, 2025])
    page = tmp_path / "reports" / "demo" / "2025" / "latest" / "report.html"
    assert site.report("") is None and site.words(site.default)["report"] is None
    page.parent.mkdir(parents=True)
    page.write_text("<p>report</p>")
    assert site.report("year=2025") == page and site.report("year=2024") is None
    assert site.words(site.default)["report"] == {
        "label": "完整报告",
        "href": "workbench/report?year=2025&lang=zh",
    }
    with pytest.raises(ParameterError):
        site.report("year=2025&city=../x")


def test_only_visitors_with_the_password_read_the_report(address: str, visitor: requests.Session) -> None:
    away = requests.get(f"{address}/workbench/report", allow_redirects=False, timeout=60)
    assert away.status_code == 302 and "/login" in away.headers["Location"]
    assert visitor.get(f"{address}/workbench/report?year=2025", timeout=60).text == "<p>report of 2025</p>"
    assert visitor.get(f"{address}/workbench/report?year=2024", timeout=60).status_code == 404
    assert visitor.get(f"{address}/workbench/report?city=..%2Fx", timeout=60).status_code == 400


def _alive(pid: int) -> bool:
    for _ in range(50):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return False
        except FileNotFoundError:
            return False
        time.sleep(0.1)
    return True


@pytest.fixture
def visitor(address: str) -> requests.Session:
    session = requests.Session()
    form = session.get(f"{address}/login", timeout=60)
    token = re.search(r'name="_xsrf" value="([^"]+)"', form.text)
    assert token is not None
    answer = session.post(
        f"{address}/login",
        data={"password": "open sesame", "_xsrf": token[1]},
        allow_redirects=False,
        timeout=60,
    )
    assert answer.status_code == 302 and "HttpOnly" in answer.headers["Set-Cookie"]
    return session


def test_nobody_gets_in_without_the_password(address: str) -> None:
    answer = requests.get(f"{address}/", allow_redirects=False, timeout=60)
    assert answer.status_code == 302 and answer.headers["Location"].startswith("/login")
    session = requests.Session()
    form = session.get(f"{address}/login", timeout=60)
    assert "登录" in form.text and "http" not in re.sub(r"http-equiv", "", form.text)
    token = re.search(r'name="_xsrf" value="([^"]+)"', form.text)
    assert token is not None
    wrong = session.post(f"{address}/login", data={"password": "no", "_xsrf": token[1]}, timeout=60)
    assert wrong.status_code == 401 and "密码不正确" in wrong.text
    kernel = "01234567-89ab-cdef-0123-456789abcdef"
    api = requests.get(f"{address}/api/kernels/{kernel}", allow_redirects=False, timeout=60)
    assert api.status_code in (302, 403, 404)


def test_the_page_has_the_default_parameters_and_no_sources(address: str, visitor: requests.Session) -> None:
    page = visitor.get(f"{address}/", timeout=120).content.decode()
    assert "answer=demo:4050:zh" in page
    assert "secret_name" not in page and "never run" not in page
    outside = set(re.findall(r"""(?:src|href)\\?=\\?["'](https?://[^"'\\]+)""", page))
    assert not outside
    assert 'href="?year=2024&lang=zh"' in page.replace("&amp;", "&") and ">退出</a>" in page


def test_a_visitor_gets_the_kernel_that_was_kept_ready(address: str, visitor: requests.Session) -> None:
    for _ in range(60):
        page = visitor.get(f"{address}/", timeout=120).text
        if "answer=demo:4050:zh:spare" in page:
            return
        time.sleep(1)
    pytest.fail("every visitor waited for a new kernel")


def test_answers_are_compressed_and_bound_to_this_host(address: str, visitor: requests.Session) -> None:
    answer = visitor.get(f"{address}/login", timeout=60)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    page = visitor.get(f"{address}/?lang=en", timeout=120)
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy and "http" not in policy
    assert page.headers["Content-Encoding"] == "gzip" and "<title>" in page.text


def test_logging_out_closes_the_door(address: str, visitor: requests.Session) -> None:
    assert visitor.get(f"{address}/logout", allow_redirects=False, timeout=60).status_code == 302
    assert visitor.get(f"{address}/", allow_redirects=False, timeout=60).status_code == 302


def test_the_address_sets_year_and_language_and_causes_stay_hidden(
    address: str, visitor: requests.Session
) -> None:
    page = visitor.get(f"{address}/?year=2024&lang=en", timeout=120).text
    assert "answer=demo:4048:en" in page
    assert "hidden cause" not in page


@pytest.mark.parametrize("query", ["city=../x", "year=1999", "lang=fr"])
def test_an_address_off_the_lists_is_refused_in_chinese(
    address: str, visitor: requests.Session, query: str
) -> None:
    answer = visitor.get(f"{address}/?{query}", timeout=60)
    assert answer.status_code == 400
    assert "不在可选范围内" in answer.content.decode() and b"cdn" not in answer.content.lower()


PATHS = [
    "/files/page.ipynb",
    "/voila/files/page.ipynb",
    "/voila/files/log",
    "/voila/render/../page.ipynb",
    "/voila/render/page.ipynb",
    "/voila/tree",
    "/voila/static/../../../../../../../../../../etc/passwd",
    "/voila/static/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "/voila/templates/workbench/static/../../../../../../../../../../etc/passwd",
    "/voila/templates/../static/../../../../../../../../../etc/passwd",
    "/voila/labextensions/../../../../../../../../../../etc/passwd",
    "/api/contents",
    "/api/contents/page.ipynb",
    "/api/kernels",
    "/api/sessions",
    "/api/terminals",
    "/voila/api/contents",
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("known", [False, True])
def test_files_are_not_served(address: str, visitor: requests.Session, path: str, known: bool) -> None:
    cookies = "; ".join(f"{one.name}={one.value}" for one in visitor.cookies) if known else ""
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)
    connection.request("GET", path, headers={"Cookie": cookies})  # a client that leaves ".." as it is
    answer = connection.getresponse()
    body = answer.read().decode(errors="replace")
    assert answer.status in (302, 400, 403, 404, 405, 500), path
    assert not any(word in body for word in ("secret_name", "root:", "kernel_id", "never run", "Traceback"))
    connection.close()


def test_the_font_carries_the_letters_of_the_pages(address: str) -> None:
    from io import BytesIO

    from fontTools.ttLib import TTFont

    answer = requests.get(f"{address}/workbench/font.woff", timeout=120)
    letters = set(TTFont(BytesIO(answer.content)).getBestCmap())
    assert {ord(letter) for letter in "国土空间规划体检登录密码预警图斑0123≥"} <= letters


def test_password_is_made_once_and_kept_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    monkeypatch.delenv("WORKBENCH_DASHBOARD_PASSWORD", raising=False)
    first, path = dashboard_password()
    assert path is not None and path.stat().st_mode & 0o777 == 0o600
    assert dashboard_password() == (first, path) and len(first) >= 16
    monkeypatch.setenv("WORKBENCH_DASHBOARD_PASSWORD", "from outside")
    assert dashboard_password() == ("from outside", None)
    assert dashboard_password("given") == ("given", None)


def test_guesses_are_limited() -> None:
    class Form:
        def __init__(self, password: str) -> None:
            self.password = password

        def get_argument(self, name: str, default: str = "") -> str:
            return self.password

    provider = OnePassword(hashed_password=hash_password("right"))
    provider._wrong = [time.monotonic()] * 8
    assert provider.locked() and provider.process_login_form(Form("right")) is None
    provider._wrong = [time.monotonic() - 120.0] * 8
    assert not provider.locked()


def test_a_port_in_use_is_named_before_anything_is_computed() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(RunError, match=rf"127.0.0.1:{port}: cannot listen there.*--port"):
            serve.check_port("127.0.0.1", port)
    serve.check_port("127.0.0.1", _free_port())


def test_a_file_that_is_no_notebook_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.ipynb").write_text("no json")
    with pytest.raises(ParameterError, match="not a notebook"):
        serve.read_page(tmp_path / "x.ipynb")


def test_a_report_only_notebook_is_no_dashboard() -> None:
    with pytest.raises(ParameterError, match="tagged 'dashboard'"):
        serve.read_page(serve.find_notebook("evaluation/control_lines"))
    assert serve.read_page(serve.find_notebook("evaluation/city_checkup"))


def test_the_terminal_tells_address_and_password(tmp_path: Path) -> None:
    told = "\n".join(serve.announcement("示范市", "127.0.0.1", 8866, "s3cret", tmp_path / "file"))
    assert "http://127.0.0.1:8866/" in told and "s3cret" in told and str(tmp_path) in told
    assert "unencrypted" not in told
    given = "\n".join(serve.announcement("示范市", "0.0.0.0", 80, "from outside", None))
    assert "from outside" not in given and "WORKBENCH_DASHBOARD_PASSWORD" in given and "unencrypted" in given


def test_years_without_data_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def warm(city: str, year: int) -> serve.Shown:
        if year != 2025:
            raise ParameterError("no land use", where=str(year))
        return serve.Shown(None, f"/run/{year}")  # type: ignore[arg-type]

    monkeypatch.setattr(serve, "warm", warm)
    said: list[str] = []
    assert list(serve.checkups(serve.load_city("demo"), "demo", 2025, said.append)) == [2025]
    assert any("left out" in line and "2024" in line for line in said)
    with pytest.raises(ParameterError, match="no land use"):
        serve.checkups(serve.load_city("demo"), "demo", 2024, said.append)


def test_jupyterlab_asks_nothing_of_the_internet() -> None:
    from jupyterlab.labapp import LabApp

    from workbench.cli import LAB_OFFLINE

    app = LabApp()
    app.parse_command_line(list(LAB_OFFLINE))
    assert app.news_url is None and app.check_for_updates_class.__name__ == "NeverCheckForUpdate"
    assert app.extension_manager == "readonly"


def test_an_unknown_notebook_is_named() -> None:
    with pytest.raises(ParameterError, match="evaluation/no_such"):
        serve.find_notebook("evaluation/no_such")


@pytest.mark.parametrize("name", ["workbench-cpu", "workbench-gpu"])
def test_kernels_are_found_without_installing(name: str) -> None:
    assert str(PACKAGE.parent) in serve.jupyter_path().split(os.pathsep)
    manager = KernelSpecManager(kernel_dirs=[str(PACKAGE.parent / "kernels")])
    spec = manager.get_kernel_spec(name)
    assert spec.argv == ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    assert spec.language == "python" and re.search(r"[\u4e00-\u9fff]", spec.display_name)
    assert ("CUDA_VISIBLE_DEVICES" in spec.env) == (name == "workbench-cpu")
