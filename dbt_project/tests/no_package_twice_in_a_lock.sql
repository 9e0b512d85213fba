select lock_digest, manager, package, count(*) as times
from {{ ref("stg_packages") }}
group by lock_digest, manager, package
having count(*) > 1
