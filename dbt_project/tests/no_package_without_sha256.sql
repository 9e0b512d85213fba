select lock_digest, manager, package, sha256
from {{ ref("stg_packages") }}
where sha256 is null or not regexp_full_match(sha256, '[0-9a-f]{64}')
