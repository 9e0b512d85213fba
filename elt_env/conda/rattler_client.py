"""The HTTP client that rattler works with: it reads its settings when it is made."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator

import rattler
from rattler.exceptions import AuthenticationStorageError

from elt_env.machine.condarc import read_conda_settings
from elt_env.machine.logins import auth_file_error, read_auth_file
from elt_env.machine.network_settings import exported, network_variables


def open_client() -> rattler.Client:
    """Return a client with the certificates, proxies and credentials of this user.

    Certificates and proxies are those of the variables that it sees while it is made; credentials
    it finds itself in RATTLER_AUTH_FILE, the keyring and netrc; those in .condarc it is given. It
    tries nothing again by itself, since it would not wait for as long as a server asks for
    (`http_client.patiently` does).

    Raises:
        PolicyError: a setting of certificates, proxies or credentials cannot be used.
    """
    with _auth_file() as variables, exported(network_variables() | variables):
        try:
            return rattler.Client.default_client(max_retries=0)
        except AuthenticationStorageError as error:
            path = os.environ.get("RATTLER_AUTH_FILE", "~/.rattler/credentials.json")
            raise auth_file_error(path, str(error)) from None


@contextlib.contextmanager
def _auth_file() -> Iterator[dict[str, str]]:
    """Yield the variable that names a file with the credentials in .condarc as well, if any.

    A client reads it while it is made; the file is for this user alone, and is gone afterwards.
    """
    if not read_conda_settings().logins:
        yield {}
        return
    # In memory alone: it is gone with this process, even when that is killed.
    handle = os.memfd_create("credentials", os.MFD_CLOEXEC)
    with open(handle, "w", encoding="utf-8") as file:  # noqa: PTH123  # a descriptor
        json.dump(dict(read_auth_file(os.environ)), file)
        file.flush()
        yield {"RATTLER_AUTH_FILE": f"/proc/self/fd/{handle}"}
