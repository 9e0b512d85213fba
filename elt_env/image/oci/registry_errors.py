"""Turn the refusals of a registry into messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx

from elt_env.errors import InputError, RegistryError
from elt_env.runtime.limits import load_json
from elt_env.runtime.texts import one_line

_SHOWN = 300
_AGAIN = "then run the same command again; what was sent is not sent twice."
_TOO_MUCH = (httpx.codes.REQUEST_ENTITY_TOO_LARGE, httpx.codes.INSUFFICIENT_STORAGE)
_REFUSED = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)


class PassingError(Exception):
    """A failure that may be gone at the next attempt: the network's, a 429 or a 5xx.

    Attributes:
        cause: for a person.
        pause: seconds that the registry asks to wait, if it does.
    """

    def __init__(self, cause: str, pause: float | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.pause = pause


@dataclass(frozen=True)
class RegistryAnswer:
    """What a registry answered to a request.

    Attributes:
        codes: of the errors (Distribution Specification 1.1, "Error Codes").
        text: its own words in one line, without secrets.
    """

    status: int
    codes: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        return f"HTTP {self.status}" + (f", {self.text}" if self.text else "")


def read_said(status: int, body: bytes, mask: Callable[[str], str]) -> RegistryAnswer:
    """Return what an answer says; a body that is not the specification's is left out."""
    try:
        errors = load_json(body)["errors"]
        codes = tuple(str(each.get("code", "")) for each in errors)
        words = "; ".join(str(each.get("message") or each.get("code")) for each in errors)
    except (ValueError, KeyError, TypeError, AttributeError):
        return RegistryAnswer(status, (), "")
    return RegistryAnswer(status, codes, one_line(mask(words), _SHOWN))


def refusal(
    where: str, doing: str, said: RegistryAnswer, looked_in: Sequence[str], *, known: bool
) -> Exception:
    """Return the error for a request that a registry will not fulfil.

    Args:
        where: the repository with its registry.
        doing: what was wanted, as in `push to`.
        looked_in: where credentials were looked for.
        said: what it answered.
        known: whether there were any, in the last of these places.
    """
    problem = f"The registry does not let this {doing} {where} ({said})."
    host = where.partition("/")[0]
    if "quota" in said.text.lower() or said.status in _TOO_MUCH:
        return RegistryError(
            f"The registry has no room for {where}, or refuses something so large ({said}).",
            f"Free space or raise the quota and size limit of the registry, {_AGAIN}",
        )
    if "NAME_INVALID" in said.codes:
        return InputError(
            f"The registry does not take {where} for the name of a repository ({said}).",
            "Name one that it takes; some want a project or a user first, as in host/user/name.",
        )
    if said.status in _REFUSED:
        return RegistryError(
            f"{problem} {_credentials(looked_in, known=known)}", _login(host, doing)
        )
    if "NAME_UNKNOWN" in said.codes or said.status == httpx.codes.NOT_FOUND:
        return RegistryError(
            f"There is no such repository or image for {where}, or not for this user ({said}).",
            f"Correct the name, or create it in the registry, {_AGAIN}",
        )
    if said.status == httpx.codes.METHOD_NOT_ALLOWED or "UNSUPPORTED" in said.codes:
        return RegistryError(problem, "Is it read-only, or a mirror? Use one that can be written.")
    return RegistryError(problem, f"See the registry's own log for the reason, {_AGAIN}")


def _credentials(looked_in: Sequence[str], *, known: bool) -> str:
    if known:
        return f"The credentials were those of {looked_in[-1]}."
    if looked_in:
        return f"No credentials were found for it in: {', '.join(looked_in)}."
    return "It did not ask for credentials."


def _login(host: str, doing: str) -> str:
    return (
        f"Log in with an account that may {doing.split(maxsplit=1)[0]}: docker login {host} "
        f"(or: skopeo login {host}), then run the same command again."
    )


def unreachable(host: str, cause: str) -> RegistryError:
    """Return the error for a registry that cannot be talked to."""
    return RegistryError(
        f"The registry {host} cannot be reached, or does not work: {cause}.",
        f"Check its name, the network and HTTPS_PROXY, {_AGAIN}",
    )


def nonsense(where: str, what: str) -> RegistryError:
    """Return the error for an answer that no registry gives."""
    return RegistryError(
        f"What answers at {where} is no registry, or broken: {what}.",
        "Check the reference, and whether a proxy or a login page answers in its place.",
    )
