select
    lock_digest,
    target,
    role,
    environment,
    python,
    platform,
    channel_source,
    locked_at,
    exclude_newer,
    package_count
from {{ source("loaded", "locks") }}
