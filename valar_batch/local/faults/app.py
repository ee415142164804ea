"""The ASGI application with faults around it: each that hits a call has its way with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from valar_batch.errors import UsageError
from valar_batch.local.api.exchange import find_header, ok
from valar_batch.local.api.intake import decode
from valar_batch.local.faults.draws import Draws
from valar_batch.local.faults.exchange import Exchange
from valar_batch.local.faults.plan import read_plan
from valar_batch.local.refusals import refuse
from valar_batch.local.state.records import ANY_OBJECT

if TYPE_CHECKING:
    from valar_batch.local.api.app import App
    from valar_batch.local.api.exchange import Answer, Call, Message, Receive, Send
    from valar_batch.local.faults.plan import Plan
    from valar_batch.local.leases import Leases


class Struck(msgspec.Struct, frozen=True):
    """How often the fault at a place of the plan struck, of the calls that it was up for."""

    fault: int
    kind: str
    on: str
    calls: int
    struck: int


class Faulty:
    """The ASGI application `app`, with the faults of a plan around it.

    `GET /local/faults` tells how often each fault struck; a `POST` there is another plan, as JSON,
    that counts from the beginning.
    """

    def __init__(self, app: App, plan: Plan, leases: Leases) -> None:
        self._app = app
        self._leases = leases
        self._draws = Draws(plan)
        app.offer("/local/faults", {"GET": self._tell, "POST": self._plan_anew})

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3)."""
        path = scope["path"]
        if not path.startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        key = (find_header(scope, b"authorization") or "").partition(" ")[2].strip()
        nth, hit = self._draws.next(scope["method"], path, key)
        if not hit:
            await self._app(scope, receive, send)
            return
        await Exchange(self._app, self._leases, scope, receive, send).suffer(hit, nth)

    async def _tell(self, _call: Call) -> Answer:
        return ok(
            {
                "faults": [
                    Struck(
                        armed.number,
                        str(armed.fault.__struct_config__.tag),
                        armed.fault.on,
                        armed.calls,
                        armed.struck,
                    )
                    for armed in self._draws.armed
                ]
            }
        )

    async def _plan_anew(self, call: Call) -> Answer:
        try:
            plan = read_plan(decode(ANY_OBJECT, await call.body(), None), "the plan")
        except UsageError as error:
            refuse(error.message, None)
        self._app.change(faults=plan)
        self._draws = Draws(plan)
        return await self._tell(call)
