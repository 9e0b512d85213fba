select
    lock_digest,
    target,
    check_name,
    status,
    checked_at,
    seconds,
    detail
from {{ source("loaded", "evidence") }}
