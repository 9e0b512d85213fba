with packages as (

    select
        target,
        count(*) as packages,
        count(*) filter (where manager = 'conda') as conda_packages,
        count(*) filter (where manager = 'pip') as pip_packages,
        count(*) filter (where requested) as requested_packages,
        sum(size_bytes) as size_bytes,
        max(age_days) as oldest_age_days,
        arg_max(package, age_days) as oldest_package,
        count(*) filter (where age_days > 365) / nullif(count(age_days), 0) as share_over_a_year
    from {{ ref("package_freshness") }}
    group by target

),

changes as (

    select
        target,
        count(*) as changes,
        count(*) filter (where change = 'downgraded') as downgrades
    from {{ ref("lock_changes") }}
    group by target

),

checks as (

    select
        lock_digest,
        count(*) filter (where status in ('passed', 'warned')) as checks_passed,
        count(*) filter (where status = 'failed') as checks_failed,
        count(*) filter (where status = 'not_run') as checks_not_run
    from {{ ref("stg_evidence") }}
    group by lock_digest

),

releases as (

    select
        target,
        arg_max(lock_digest, release_number) as released_digest,
        max(moved_at) as released_at
    from {{ ref("stg_releases") }}
    group by target

)

select
    locks.target,
    locks.lock_digest,
    locks.locked_at,
    coalesce(packages.packages, 0) as packages,
    coalesce(packages.conda_packages, 0) as conda_packages,
    coalesce(packages.pip_packages, 0) as pip_packages,
    coalesce(packages.requested_packages, 0) as requested_packages,
    packages.size_bytes,
    packages.oldest_package,
    packages.oldest_age_days,
    packages.share_over_a_year,
    coalesce(changes.changes, 0) as changes,
    coalesce(changes.downgrades, 0) as downgrades,
    coalesce(checks.checks_passed, 0) as checks_passed,
    coalesce(checks.checks_failed, 0) as checks_failed,
    coalesce(checks.checks_not_run, 0) as checks_not_run,
    releases.released_digest,
    releases.released_at,
    coalesce(releases.released_digest = locks.lock_digest, false) as is_released
from {{ ref("stg_locks") }} as locks
left join packages using (target)
left join changes using (target)
left join checks using (lock_digest)
left join releases using (target)
where locks.role = 'current'
