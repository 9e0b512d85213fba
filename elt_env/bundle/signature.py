"""The signature of a bundle: of its list, which has the hash of all else, by a key of OpenSSH.

`ssh-keygen -Y` makes and verifies it (ssh-keygen(1)); so does a person:
`tar -xOf FILE bundle.json | ssh-keygen -Y verify -n elt-env-bundle …`.
"""

from __future__ import annotations

import os
from pathlib import Path

from elt_env.bundle import listing as listings
from elt_env.bundle.listing import Listing
from elt_env.errors import InputError, IntegrityError, ToolError
from elt_env.machine.environment_variables import clean_environment
from elt_env.machine.process import Completed, run

_PROGRAM = "ssh-keygen"
_NAMESPACE = "elt-env-bundle"
_LIMIT = 30.0  # seconds
_AGENT = "SSH_AUTH_SOCK"


def signature_path(bundle: Path) -> Path:
    """Return where the signature of a bundle lies."""
    return bundle.with_name(f"{bundle.name}.sig")


def sign(listing: Listing, key: Path) -> str:
    """Return the signature of what a bundle holds.

    Args:
        listing: its list.
        key: a private key, or a public one whose private half an agent has.

    Raises:
        InputError: nothing can be signed with the key.
        ToolError: OpenSSH is not there.
    """
    done = _ssh_keygen(listing, "sign", "-n", _NAMESPACE, "-f", key)
    if done.returncode:
        raise InputError(
            f"Nothing can be signed with {key}: {done.stderr.strip()}",
            f"Name a private key without a passphrase; or give it to the agent, ssh-add {key}, and "
            f"name {key}.pub.",
        )
    return done.stdout


def require_signature(listing: Listing, bundle: Path, signers: Path) -> str:
    """Return who signed a bundle, when it is one of those who may.

    Args:
        listing: what the bundle holds.
        bundle: its path; the signature lies beside it.
        signers: a file of allowed signers (ssh-keygen(1), ALLOWED SIGNERS).

    Raises:
        IntegrityError: nobody signed it who may, or it was changed since.
        InputError: there is no such file.
        ToolError: OpenSSH is not there.
    """
    signature = signature_path(bundle)
    if not signers.is_file():
        raise InputError(
            f"There is no file {signers} of those who may sign a bundle.",
            "Write a line for each, as in: ops@example.org ssh-ed25519 AAAA…",
        )
    if not signature.is_file():
        raise IntegrityError(
            f"{bundle} has no signature {signature.name} beside it.",
            "Copy it from where the bundle was made: elt-env bundle TARGET -o FILE --sign KEY",
        )
    found = _ssh_keygen(listing, "find-principals", "-f", signers, "-s", signature)
    names = found.stdout.split("\n")[0].strip()
    named = ("-f", signers, "-I", names, "-n", _NAMESPACE, "-s", signature)
    done = _ssh_keygen(listing, "verify", *named) if names else found
    if done.returncode or not names:
        raise IntegrityError(
            f"{bundle} is not signed by anybody in {signers}: {done.stderr.strip()}",
            "Ask who made it for the bundle and its signature; nothing of it was used.",
        )
    return names


def _ssh_keygen(listing: Listing, verb: str, *arguments: str | Path) -> Completed:
    agent = {_AGENT: os.environ[_AGENT]} if _AGENT in os.environ else {}
    try:
        return run(
            [_PROGRAM, "-Y", verb, *map(str, arguments)],
            limit=_LIMIT,
            env=clean_environment(extra=agent),
            input=listings.render(listing).decode(),
        )
    except ToolError as error:
        raise ToolError(error.problem, "Install OpenSSH: apt-get install openssh-client") from error
