#!/bin/sh
# A container that runs what is released. Its first argument is the target; what follows is run with
# the tools of its release, which is kept up to date meanwhile:
#
#     entrypoint.sh elt@3.11 dagster code-server start -m analytics
#
# Without a command it only follows, as beside another container that has the same volume.
# FOLLOW_FROM is the store; FOLLOW_DIRECTORY, /var/lib/elt-env by default, belongs on a volume.
set -eu

target=${1:?the target, as in elt@3.11}
shift
: "${FOLLOW_FROM:?the store, as in s3://bucket/prefix}"
ELT_ENV_PROJECT=${FOLLOW_DIRECTORY:-/var/lib/elt-env}
export ELT_ENV_PROJECT

if [ "$#" -eq 0 ]; then
    exec elt-env follow "$target" --from "$FOLLOW_FROM" --watch
fi
# A store that is away keeps nobody from what is here already.
elt-env follow "$target" --from "$FOLLOW_FROM" || elt-env run "$target" -- true
elt-env follow "$target" --from "$FOLLOW_FROM" --watch &
exec elt-env run "$target" -- "$@"
