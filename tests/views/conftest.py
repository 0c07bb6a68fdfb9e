from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def checkup() -> Any:
    spec = importlib.util.spec_from_file_location("views_small", Path(__file__).with_name("small.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["views_small"] = module
    spec.loader.exec_module(module)
    return module.SmallCheckup()
