select
    packages.target,
    packages.manager,
    packages.package,
    packages.version,
    packages.build,
    packages.source,
    packages.sha256,
    packages.size_bytes,
    packages.released_at,
    packages.requested,
    packages.required_by,
    locks.lock_digest,
    locks.locked_at,
    locks.role
from {{ ref("stg_packages") }} as packages
inner join {{ ref("stg_locks") }} as locks using (lock_digest)
