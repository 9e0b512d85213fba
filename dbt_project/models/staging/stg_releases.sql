select
    target,
    release_number,
    lock_digest,
    image_digest,
    moved_at,
    action,
    trigger,
    moved_by
from {{ source("loaded", "releases") }}
