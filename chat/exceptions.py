"""ErrorCode and ClientError(code, **context): every refusal is one of these."""

from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from django.utils import translation
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

# A sentence for a user. It is lazy if it was made without knowing the language of its reader.
Sentence: TypeAlias = "_StrOrPromise"


# Logs are in English, whatever the language of the site is, because programs and operators search them.
LOG_LANGUAGE = "en"


class ErrorCode(StrEnum):
    """The name of a refusal on the wire; docs/protocol.md says what a client should do about each."""

    USER_HAS_TO_LOGIN = "USER_HAS_TO_LOGIN"
    ROOM_INVALID = "ROOM_INVALID"
    ROOM_ACCESS_DENIED = "ROOM_ACCESS_DENIED"
    JSON_INVALID = "JSON_INVALID"
    COMMAND_INVALID = "COMMAND_INVALID"
    MESSAGE_EMPTY = "MESSAGE_EMPTY"
    MESSAGE_TOO_LONG = "MESSAGE_TOO_LONG"
    MESSAGE_INVALID = "MESSAGE_INVALID"
    MESSAGE_TYPE_DENIED = "MESSAGE_TYPE_DENIED"
    FILE_INVALID = "FILE_INVALID"
    FILE_TOO_LARGE = "FILE_TOO_LARGE"
    NOT_AUTHOR = "NOT_AUTHOR"
    EPOCH_CHANGED = "EPOCH_CHANGED"
    RATE_LIMITED = "RATE_LIMITED"
    USER_MUTED = "USER_MUTED"
    ROOM_READ_ONLY = "ROOM_READ_ONLY"
    SERVER_UNAVAILABLE = "SERVER_UNAVAILABLE"


class ClientError(Exception):
    """A refusal that is sent to the sender alone; the socket stays open.

    `context` may hold: command, room (int), client_id (UUID), detail (a Sentence), retry_after (seconds).
    """

    def __init__(self, code: ErrorCode, **context: Any) -> None:
        super().__init__(code, context)
        self.code = code
        self.context = context

    def __str__(self) -> str:
        # In English, because this text stands in logs. `detail` is for users.
        with translation.override(LOG_LANGUAGE):
            return f"{self.code}: {self.context['detail']}" if "detail" in self.context else str(self.code)

    @property
    def detail(self) -> str:
        """The sentence for the user, in the active language; empty if there is none."""
        detail = self.context.get("detail")
        return "" if detail is None else str(detail)


AWAY = _("The database is away. Try again in a moment.")


def unavailable(detail: Sentence = AWAY) -> ClientError:
    """Return the refusal of a command that may succeed when it is sent again."""
    return ClientError(ErrorCode.SERVER_UNAVAILABLE, detail=detail, retry_after=1)
