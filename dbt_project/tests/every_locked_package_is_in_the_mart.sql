-- As many packages in the mart as the source has for the lock, and as the lock itself says.
select
    locks.lock_digest,
    locks.package_count as in_lock,
    (
        select count(*) from {{ source("loaded", "packages") }} as source
        where source.lock_digest = locks.lock_digest
    ) as in_source,
    (
        select count(*) from {{ ref("package_freshness") }} as mart
        where mart.lock_digest = locks.lock_digest
    ) as in_mart
from {{ ref("stg_locks") }} as locks
where locks.role = 'current' and (in_lock <> in_source or in_source <> in_mart)
