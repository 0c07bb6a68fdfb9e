from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def checkup() -> Any:
    path = Path(__file__).parent.parent / "views" / "small.py"
    spec = importlib.util.spec_from_file_location("dashboard_small", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["dashboard_small"] = module
    spec.loader.exec_module(module)
    return module.SmallCheckup()
