"""`whorl.shutdown`: which side closes a WebSocket when the server shuts down."""

from __future__ import annotations

from contextvars import copy_context

import whorl
from whorl.asgi.shutdown import CLOSE_OWNER, CloseOwner


def test_the_application_owns_the_close_unless_it_declines() -> None:
    owner, context = CloseOwner(), copy_context()
    context.run(CLOSE_OWNER.set, owner)
    context.copy().run(whorl.shutdown, app_owns_close=False)
    assert not owner.app_owns_close
    context.copy().run(whorl.shutdown)
    assert owner.app_owns_close
    context.copy().run(whorl.shutdown, app_owns_close=False)
    assert owner.app_owns_close, "an earlier call has claimed it"
