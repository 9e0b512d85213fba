select
    lock_digest,
    old_lock_digest,
    target,
    package,
    manager,
    change,
    old_version,
    new_version
from {{ source("loaded", "lock_changes") }}
