"""Kernels kept ready: started, with a page's modules imported, before a visitor comes."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from traitlets import Float, Integer, Unicode

QUIET = ["--IPKernelApp.log_level=40"]
"""Arguments of every kernel: only errors are told. Kernels listen on this machine alone, and are started by nobody
else, so the kernel's remark on its unencrypted sockets does not help the person at the terminal."""
START_S = 120.0
"""Longest time a spare kernel may take to start and import."""


class WarmKernels(AsyncMappingKernelManager):  # type: ignore[misc]
    """Kernel manager that hands out spare kernels first and replaces them afterwards.

    What a visitor asks for reaches the kernel in the cells of the page, so one spare kernel is as good as another.
    Without a spare one a kernel is started as usual; nothing but time depends on the spares.
    """

    spare = Integer(2, config=True, help="Kernels kept ready.")
    kernel = Unicode("", config=True, help="Name of the kernelspec of the spare kernels.")
    opening = Unicode("", config=True, help="Code a spare kernel runs before it is handed out.")
    pause_s = Float(
        6.0, config=True, help="Seconds left to a visitor's page before a spare kernel is replaced."
    )

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._ready: list[str] = []
        self._filling: asyncio.Task[None] | None = None

    @property
    def ready(self) -> tuple[str, ...]:
        """Ids of the kernels that wait for a visitor."""
        return tuple(self._ready)

    def fill(self, delay_s: float = 0.0) -> None:
        """Start spare kernels in the background, one after the other, until there are enough."""
        if self.spare > 0 and (self._filling is None or self._filling.done()):
            self._filling = asyncio.ensure_future(self._fill(delay_s))

    async def _fill(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        while len(self._ready) < self.spare:
            made = await self._warm()
            if made is None:
                return
            self._ready.append(made)
            self.log.debug("kernel %s is ready for a visitor", made)

    async def _warm(self) -> str | None:
        """Start a kernel and run the opening code in it; None, and no kernel left, where that fails."""
        made = str(
            await super().start_kernel(
                kernel_name=self.kernel, path="", env=dict(os.environ), extra_arguments=QUIET
            )
        )
        client = self.get_kernel(made).client()
        client.start_channels()
        try:
            await client.wait_for_ready(timeout=START_S)
            reply = await client.execute(self.opening, store_history=False, reply=True, timeout=START_S)
            content = reply["content"]
            fault = None if content["status"] == "ok" else f"{content.get('ename')}: {content.get('evalue')}"
        except (RuntimeError, TimeoutError) as error:
            fault = str(error)
        finally:
            client.stop_channels()
        if fault is None:
            return made
        self.log.warning("no spare kernel, pages will open slowly: %s", fault)
        if made in self:
            await self.shutdown_kernel(made, now=True)
        return None

    async def start_kernel(
        self, *, kernel_id: str | None = None, path: str | None = None, **kwargs: Any
    ) -> str:
        """Return the id of a spare kernel, or of a new one."""
        if kernel_id is None and not path and kwargs.get("kernel_name") == self.kernel:
            while self._ready:
                found = self._ready.pop(0)
                if found in self and await self.is_alive(found):
                    self.fill(self.pause_s)
                    return found
            self.fill(self.pause_s)
        kwargs.setdefault("extra_arguments", QUIET)
        return str(await super().start_kernel(kernel_id=kernel_id, path=path, **kwargs))

    async def shutdown_all(self, now: bool = False) -> None:
        """End every kernel, and start no spare one any more."""
        self.spare = 0
        await super().shutdown_all(now=now)

    async def cull_kernel_if_idle(self, kernel_id: str) -> None:
        """End a kernel nobody looks at; the spare ones wait for somebody."""
        if kernel_id not in self._ready:
            await super().cull_kernel_if_idle(kernel_id)
