"""A real server on a free port, with a notebook that needs no city: login, page, address, sources, files."""

from __future__ import annotations

import os
import re
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

from workbench.core.errors import ParameterError
from workbench.core.paths import PACKAGE
from workbench.dashboard import serve
from workbench.dashboard.access import OnePassword, dashboard_password, hash_password

SCRIPT = """
import os, sys
from pathlib import Path
from workbench.dashboard import serve
os.environ["JUPYTER_PATH"] = serve.jupyter_path()
address = serve.Address("demo", 2025, "zh")
config = serve.configuration(
    address, {"demo": [2024, 2025]}, lambda city, year: "", host="127.0.0.1", port=int(sys.argv[2]),
    hashed_password=serve.hash_password("open sesame"), open_browser=False,
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
        new_code_cell("from IPython.display import HTML\nHTML(f'<p>answer={city}:{year * 2}:{lang}</p>')"),
        new_code_cell("secret_name = 1\nif year == 2024:\n    raise SystemError('hidden cause')"),
    ]
    spec = {"kernelspec": {"name": "workbench-cpu", "display_name": "x", "language": "python"}}
    write(new_notebook(cells=cells, metadata=spec), folder / "page.ipynb")
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
            server.terminate()


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
    assert answer.status_code == 302
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
    page = visitor.get(f"{address}/", timeout=120).text
    assert "answer=demo:4050:zh" in page
    assert "secret_name" not in page and "never run" not in page
    outside = set(re.findall(r"""(?:src|href)\\?=\\?["'](https?://[^"'\\]+)""", page))
    assert not outside


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


def test_files_are_not_served(address: str, visitor: requests.Session) -> None:
    for path in ("voila/files/page.ipynb", "voila/files/log", "api/contents", "voila/tree"):
        answer = visitor.get(f"{address}/{path}", timeout=60)
        assert answer.status_code in (400, 403, 404, 405) or "answer=" not in answer.text
        assert "secret_name" not in answer.text


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
