with checks as (

    -- A check that ran again since tells nothing of the time before the release.
    select
        releases.target,
        releases.release_number,
        min(evidence.checked_at) as first_checked_at
    from {{ ref("stg_releases") }} as releases
    inner join {{ ref("stg_evidence") }} as evidence
        on releases.lock_digest = evidence.lock_digest
        and evidence.checked_at <= releases.moved_at
    group by releases.target, releases.release_number

)

select
    releases.target,
    releases.release_number,
    releases.lock_digest,
    locks.locked_at,
    checks.first_checked_at,
    releases.moved_at as promoted_at,
    date_diff('second', locks.locked_at, releases.moved_at) / 3600 as hours_from_lock,
    date_diff('second', checks.first_checked_at, releases.moved_at) / 3600 as hours_from_check,
    releases.trigger,
    releases.moved_by
from {{ ref("stg_releases") }} as releases
left join {{ ref("stg_locks") }} as locks using (lock_digest)
left join checks
    on releases.target = checks.target
    and releases.release_number = checks.release_number
where releases.action = 'promoted'
