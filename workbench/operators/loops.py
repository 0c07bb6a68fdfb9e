"""The one way this package compiles a loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile a loop so that threads run it side by side, and keep the result on disk for the next start."""
    fast: F = njit(nogil=True, cache=True)(function)
    return fast
