"""Progress of linking conda packages, in lines."""

from __future__ import annotations

from rattler.install.installer import InstallerReporter

from elt_env.machine.process import Say


class LinkProgress(InstallerReporter):
    """Says what rattler's installer does: the number of linked packages."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._linked = 0
        self._total = 0

    def on_transaction_start(self, total_operations: int) -> None:
        """Say how many packages there are."""
        self._total = total_operations
        self._say(f"conda: linking {total_operations} packages")

    def on_link_complete(self, index: int) -> None:
        """Say the number of linked packages, every tenth and at the end."""
        del index
        self._linked += 1
        if self._linked % 10 == 0 or self._linked == self._total:
            self._say(f"conda: linked {self._linked} of {self._total} packages")
