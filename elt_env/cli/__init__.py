"""`elt-env`: the commands, each in a module of its own, which is loaded when it is called.

The modules of this package are the only ones that print or exit.
"""

from __future__ import annotations

import click

from elt_env.cli.group import Group

COMMANDS = {
    "adopt": ("adopt:adopt", "Make the lock of TARGET of lock files of other tools."),
    "build": ("build:build", "Lock, install, prove and release TARGET."),
    "bundle": ("bundle:bundle", "Write TARGET's lock and its archives into one file."),
    "check": ("checks:check", "Run one CHECK on TARGET, again if it held before."),
    "compare": ("compare:compare", "Ask other resolvers what the lock of TARGET was made from."),
    "diff": ("diff:diff", "Print what changed from lock OLD to lock NEW, and why."),
    "doctor": ("checks:doctor", "Run every health check on TARGET."),
    "export": ("export:export", "Write the lock of TARGET as a file of another tool."),
    "expose": ("expose:expose", "Put programs of TARGET's release on PATH."),
    "follow": ("follow:follow", "Run on this machine what is released of TARGET elsewhere."),
    "gc": ("upkeep:gc", "Remove prefixes, images and layers that nothing refers to."),
    "history": ("release:history", "Print every release of TARGET."),
    "image": ("image:image", "Pack TARGET's environment into an OCI image, and prove it."),
    "init": ("init:init", "Make DIRECTORY a project that has an environment."),
    "lint": ("lint:lint", "Print all that is wrong with each SPEC, and where."),
    "lock": ("lock:lock", "Lock TARGET, or keep the lock that satisfies its spec."),
    "metrics": ("metrics:metrics", "Print numbers about all targets, for Prometheus."),
    "plugins": ("plugins:plugins", "Print what is locked for the plugins of Meltano projects."),
    "promote": ("release:promote", "Make the current lock of TARGET its release."),
    "push": ("image:push", "Push TARGET's image to a registry."),
    "pythons": ("show:pythons", "List the Pythons of this machine."),
    "readiness": ("readiness:readiness", "Find the Pythons on which ENVIRONMENT can be had."),
    "relock": ("lock:relock", "Upgrade the lock of TARGET within its spec."),
    "rollback": ("release:rollback", "Make the release before the release of TARGET again."),
    "rollout": ("rollout:rollout", "Let more machines take the release of TARGET, or go back."),
    "run": ("run:run", "Run COMMAND with the tools of TARGET first on PATH."),
    "run-image": ("image:run_in_image", "Run COMMAND in the image of TARGET."),
    "shell": ("run:shell", "Open a shell with the tools of TARGET first on PATH."),
    "show": ("show:show", "Print what is known about TARGET."),
    "store": ("store:store", "Copy a store, from a directory to a bucket or back."),
    "unbundle": (
        "bundle:unbundle",
        "Put the bundle FILE into this project.",
    ),
    "verify": ("upkeep:verify_target", "Compare every file of TARGET with what was recorded."),
    "wheelhouse": (
        "wheelhouse:wheelhouse",
        "Build what has no wheel for TARGET, for its locks to take.",
    ),
    "why": ("why:why", "Print why the package NAME is in the lock of TARGET."),
    "why-not": ("why:why_not", "Print what keeps WANTED out of the lock of TARGET."),
}
"""By name: the module and function of a command, and its line in the list of commands."""


@click.group(
    cls=Group, commands_of=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="elt-env")
def main() -> None:
    """Lock, build and use proven ELT environments.

    A TARGET is an environment at a Python minor, as in elt@3.11; without a Python, as in elt, the
    first one of the policy is meant. lock and build take the path of an environment.yml as well,
    which no policy has to list.

    \b
    Examples:
      elt-env build environment.yml
      elt-env build elt@3.11
      elt-env run elt@3.11 -- dbt --version
      elt-env show elt@3.11 --json
    """
