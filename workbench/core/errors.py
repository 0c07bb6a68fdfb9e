"""The family of exceptions. Each says what, where, what was found, what was expected, and what to do next."""

from __future__ import annotations


class WorkbenchError(Exception):
    """Base of all errors the package raises on purpose.

    Parameters
    ----------
    what : str
        The problem in one sentence.
    where : str, optional
        File, key, layer or row concerned.
    found, expected : object, optional
        What stood there and what should stand there.
    hint : str, optional
        The next step for the reader.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        found: object = None,
        expected: object = None,
        hint: str | None = None,
    ) -> None:
        self.what, self.where, self.found, self.expected, self.hint = (
            what,
            where,
            found,
            expected,
            hint,
        )
        parts = [f"{where}: {what}" if where else what]
        if found is not None:
            parts.append(f"found {found!r}")
        if expected is not None:
            parts.append(f"expected {expected}")
        if hint:
            parts.append(hint)
        super().__init__("; ".join(parts) + ".")

    def __str__(self) -> str:
        return str(self.args[0])


class ProfileError(WorkbenchError, ValueError):
    """A city profile cannot be used as written."""


class GridMismatch(WorkbenchError, ValueError):
    """Two rasters do not lie on one grid."""


class CRSError(WorkbenchError, ValueError):
    """A coordinate reference system is missing, geographic where metres are needed, or unsafe to convert."""


class LayerMissing(WorkbenchError, LookupError):
    """A layer role, or the year asked of it, is not in the catalogue."""

    def __init__(self, role: str, year: int | None = None, *, reason: str, holder: str | None = None) -> None:
        self.role, self.year, self.reason, self.holder = role, year, reason, holder
        name = role if year is None else f"{role} of {year}"
        told = {
            "no_layer": "the profile names none",
            "no_year": "there is none of that year",
            "no_file": "the file the profile names does not exist",
        }.get(reason, reason)
        hint = "name its file in the city's profile, [[layers]]" if reason == "no_layer" else None
        super().__init__(
            f"layer '{name}' is not available ({told})",
            hint="; ".join(one for one in (f"usually held by {holder}" if holder else None, hint) if one)
            or None,
        )


class DefinitionError(WorkbenchError, ValueError):
    """An indicator, rule or book definition contradicts itself or the code it names."""


class ParameterError(WorkbenchError, ValueError):
    """A parameter has an unknown name or an impossible value."""


class DataQualityError(WorkbenchError, ValueError):
    """Data are too faulty to give a number."""


class ImageError(WorkbenchError, ValueError):
    """An image cannot be used: its bands, scale, grid, dates or file are not what they should be."""


class WeightsError(WorkbenchError, ValueError):
    """Weights or their card cannot be used: missing, damaged, unsafe, or made for something else."""


class RunError(WorkbenchError, RuntimeError):
    """A run could not be finished."""
