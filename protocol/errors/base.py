"""The root of every error."""

from __future__ import annotations

from typing import Any, ClassVar


class ProtocolError(Exception):
    """Base of every error of this project.

    `description` says in public words what is wrong and how to mend it; `detail` is for the log only;
    `members` names the request members at fault; `retry_after` is in seconds; `extensions` are further members of the body (RFC 9457, 3.2).
    """

    code: ClassVar[str] = "server_error"
    status: ClassVar[int] = 500
    default_description: ClassVar[str] = "The server met an unexpected condition."

    def __init__(
        self,
        description: str = "",
        *,
        detail: str = "",
        members: tuple[str, ...] = (),
        retry_after: int | None = None,
    ) -> None:
        self.description = description or self.default_description
        self.detail = detail
        self.members = members
        self.retry_after = retry_after
        self.extensions: dict[str, Any] = {}
        super().__init__(self.description)
