select
    target,
    manager,
    package,
    version,
    build,
    source,
    sha256,
    size_bytes,
    released_at,
    requested,
    required_by,
    lock_digest,
    locked_at
from {{ ref("int_packages") }}
where role = 'current'
