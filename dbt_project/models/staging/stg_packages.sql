select
    lock_digest,
    target,
    manager,
    package,
    version,
    build,
    url,
    source,
    sha256,
    size_bytes,
    released_at,
    requested,
    coalesce(required_by, []) as required_by
from {{ source("loaded", "packages") }}
