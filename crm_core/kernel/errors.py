"""What can be refused, and how it is said: one exception family that pages, the API and the command line all understand.

`code` is for programs, `say` a message identifier of the catalogue for people, `detail` what fills its placeholders. The HTTP
status is the only thing of the web in it.
"""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """A request that isn't carried out, for a reason the asker can understand."""

    status = 400

    def __init__(self, code: str, say: str, **detail: Any) -> None:
        super().__init__(f"{code}: {say.format(**detail) if detail else say}")
        self.code = code
        self.say = say
        self.detail = detail


class NotSignedIn(Refusal):
    """Nobody is signed in, or the session is over."""

    status = 401

    def __init__(self) -> None:
        super().__init__("not_signed_in", "You are signed out. Sign in again.")


class NotAllowed(Refusal):
    """The person may not do this, or may not see that."""

    status = 403


class NotFound(Refusal):
    """There is no such thing, or none that the person may see."""

    status = 404

    def __init__(self, code: str = "not_found", say: str = "There is no such thing, or you may not see it.", **detail: Any) -> None:
        super().__init__(code, say, **detail)


class Conflict(Refusal):
    """Somebody or something else is in the way just now."""

    status = 409


class Unavailable(Refusal):
    """What is needed for it can't be reached just now."""

    status = 503
