"""The lock fits pyproject, and the conda and Binder environments follow the lock."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent


def locked() -> dict[str, str]:
    text = (ROOT / "requirements.lock").read_text("utf-8")
    return {canonicalize_name(n): v for n, v in re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\\n]+)", text, re.M)}


def wanted() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return [Requirement(r) for r in project["dependencies"] + project["optional-dependencies"]["dev"]]


@pytest.mark.parametrize("requirement", wanted(), ids=str)
def test_lock_satisfies_pyproject(requirement):
    version = locked().get(canonicalize_name(requirement.name))
    assert version is not None, f"{requirement.name} is missing: run uv pip compile again"
    assert requirement.specifier.contains(version, prereleases=True)


def test_every_dependency_says_why_it_is_there():
    lines = (ROOT / "pyproject.toml").read_text("utf-8").splitlines()
    start = lines.index("dependencies = [")
    stop = next(i for i in range(start, len(lines)) if lines[i].startswith("[tool."))
    bare = [
        line
        for line in lines[start:stop]
        if re.match(r'\s+"[a-z]', line) and "#" not in line and not line.strip().startswith('"torch')
    ]
    assert bare == []


def test_every_locked_package_has_hashes_and_no_address():
    text = (ROOT / "requirements.lock").read_text("utf-8")
    assert "://" not in text
    blocks = re.split(r"\n(?=[A-Za-z0-9])", text)
    assert all("--hash=sha256:" in block for block in blocks if "==" in block)


def test_one_set_of_versions_for_the_supported_interpreters():
    text = (ROOT / "requirements.lock").read_text("utf-8")
    names = re.findall(r"^([A-Za-z0-9._-]+)==", text, re.M)
    assert len(names) == len(set(names))


def licence(name: str) -> str:
    data = metadata.metadata(name)
    classifiers = [c for c in data.get_all("Classifier") or [] if c.startswith("License")]
    return " | ".join([data.get("License-Expression") or "", (data.get("License") or "")[:80], *classifiers])


def test_no_copyleft_package_is_installed_from_the_lock():
    installed = {canonicalize_name(d.metadata["Name"]) for d in metadata.distributions()}
    texts = {name: licence(name) for name in sorted(installed & locked().keys())}
    assert len(texts) > 200
    assert {n: t for n, t in texts.items() if re.search(r"GPL|General Public", t)} == {}
    # the runtime libraries that come with torch are the one named exception
    closed = [n for n, t in texts.items() if "Proprietary" in t]
    assert all(n.startswith("nvidia-") for n in closed)


def test_conda_and_binder_follow_the_lock():
    environment = (ROOT / "environment.yml").read_text("utf-8")
    binder = (ROOT / "binder" / "environment.yml").read_text("utf-8")
    build = (ROOT / "binder" / "postBuild").read_text("utf-8")
    assert "-r requirements.lock" in environment and "-r requirements.lock" in build
    version = re.search(r"python=(3\.\d+)", environment)
    assert version and version[0] in binder
    requires = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["requires-python"]
    assert Requirement(f"python{requires}").specifier.contains(version[1] + ".0")
    # pins beside the lock would drift: none is allowed in either file
    assert not re.findall(r"[a-z]==\d", environment + binder)


def test_binder_opens_the_welcome_notebook():
    start = (ROOT / "binder" / "start").read_text("utf-8")
    target = re.search(r"notebooks/\S+?\.ipynb", start)
    assert target and (ROOT / target[0]).exists()
