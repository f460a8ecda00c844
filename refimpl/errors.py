"""The errors that the engine can answer with, and the HTTP status of each.

    EngineError                500  the base; also what an unexpected failure becomes
    |- InvalidParameter        400  the request says something impossible
    |- Forbidden               403  the request is understood and refused
    |- NotFound                404  a container, network, image or exec that is not there
    |- Conflict                409  the state of an object does not allow it
    |- NotModified             304  nothing to do: started already, stopped already
    |- NotServed               501  an endpoint of the Docker API that this engine does not have
    |- Unavailable             503  not now: what needs a swarm, or is still being restored

The message is the text that a client sees, word for word Docker's where Docker has one.

Mirrors: moby errdefs/ (v20.10) and its mapping in api/server/httputils/errors.go.
"""

from __future__ import annotations


class EngineError(Exception):
    """A failure that a client is told about; `str(error)` is the message it sees."""

    status = 500


def message_of(failure: Exception) -> str:
    """Return what a client is told of a failure: of the machine's, without its number."""
    if isinstance(failure, OSError) and failure.strerror:
        return failure.strerror
    return str(failure) or type(failure).__name__


class InvalidParameter(EngineError):
    """The request asks for something that can never work."""

    status = 400


class Forbidden(EngineError):
    """The request is well formed and refused."""

    status = 403


class NotFound(EngineError):
    """The object that was asked for does not exist."""

    status = 404


class Conflict(EngineError):
    """The object exists, and its state does not allow what was asked."""

    status = 409


class NotModified(EngineError):
    """The object is already in the state that was asked for."""

    status = 304


class NotServed(EngineError):
    """A Docker API endpoint, or a feature of one, that this engine does not have."""

    status = 501


class Unavailable(EngineError):
    """The engine is not in the state that the endpoint needs."""

    status = 503
