"""The HTTP client that rattler works with: it reads its settings when it is made."""

from __future__ import annotations

import os

import rattler
from rattler.exceptions import AuthenticationStorageError

from elt_env.tools.logins import auth_file_error
from elt_env.tools.network_settings import exported, network_variables


def open_client() -> rattler.Client:
    """Return a client with the certificates, proxies and credentials of this user.

    Certificates and proxies are those of the variables that it sees while it is made; credentials
    it finds itself in RATTLER_AUTH_FILE, the keyring and netrc. It tries nothing again by itself,
    since it would not wait for as long as a server asks for (`http_client.patiently` does).

    Raises:
        PolicyError: a setting of certificates, proxies or credentials cannot be used.
    """
    with exported(network_variables()):
        try:
            return rattler.Client.default_client(max_retries=0)
        except AuthenticationStorageError as error:
            path = os.environ.get("RATTLER_AUTH_FILE", "~/.rattler/credentials.json")
            raise auth_file_error(path, str(error)) from None
