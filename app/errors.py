"""The error tree. Every message is one plain sentence for the person who caused it.

PointillistError
├── Refused            422  the input cannot be used; the sentence says why and what to do
│   └── BadRequest     400  the request itself is malformed
├── NotAllowed         403  outside the allowed roots, or not permitted
├── NotSignedIn        401
├── NotFound           404
├── Conflict           409  somebody else changed it first (revision mismatch)
├── TooLarge           413
├── TooMany            429
├── StorageFull        507
└── Unavailable        503  an engine, the worker or the consumer cannot answer now
    └── StoreDamaged   503  the database lost rows or cannot be trusted
Cancelled                   not an error for the user: the work was asked to stop
"""

from __future__ import annotations

from typing import ClassVar


class PointillistError(Exception):
    """Base of every error whose message may be shown to a person.

    `title` is the short name used in problem+json; `extra` carries machine-readable facts.
    """

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Something went wrong"

    def __init__(self, sentence: str, **extra: object) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.extra = extra


class Refused(PointillistError):
    status = 422
    title = "The input was refused"


class BadRequest(Refused):
    status = 400
    title = "The request is malformed"


class NotAllowed(PointillistError):
    status = 403
    title = "Not allowed"


class NotSignedIn(PointillistError):
    status = 401
    title = "Sign in first"


class NotFound(PointillistError):
    status = 404
    title = "Not found"


class Conflict(PointillistError):
    status = 409
    title = "It changed in the meantime"


class TooLarge(PointillistError):
    status = 413
    title = "Too large"


class TooMany(PointillistError):
    status = 429
    title = "Too many at once"


class StorageFull(PointillistError):
    status = 507
    title = "The disk is full"


class Unavailable(PointillistError):
    status = 503
    title = "Not available now"


class StoreDamaged(Unavailable):
    title = "The database is damaged"


class Cancelled(Exception):
    """Raised inside a task when its job was cancelled."""
