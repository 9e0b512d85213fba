with counted as (

    select
        lock_digest,
        old_lock_digest,
        count(*) as changes,
        count(*) filter (where change = 'added') as added,
        count(*) filter (where change = 'removed') as removed,
        count(*) filter (where change = 'upgraded') as upgraded,
        count(*) filter (where change = 'downgraded') as downgraded,
        count(*) filter (where change = 'rebuilt') as rebuilt,
        count(*) filter (where change = 'moved') as moved
    from {{ ref("stg_lock_changes") }}
    group by lock_digest, old_lock_digest

)

select
    locks.target,
    locks.lock_digest,
    counted.old_lock_digest,
    locks.locked_at,
    date_diff(
        'hour',
        lag(locks.locked_at) over (partition by locks.target order by locks.locked_at),
        locks.locked_at
    ) as hours_since_last,
    locks.package_count as packages,
    counted.changes,
    counted.added,
    counted.removed,
    counted.upgraded,
    counted.downgraded,
    counted.rebuilt,
    counted.moved
from counted
inner join {{ ref("stg_locks") }} as locks using (lock_digest)
