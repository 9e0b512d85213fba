with twins as (

    -- A name may stand on both sides of one lock, conda's library and pip's binding: they are two
    -- packages then. Elsewhere a change of manager is a move of one package.
    select distinct target, package
    from {{ ref("int_packages") }}
    where role in ('current', 'previous')
    group by target, lock_digest, package
    having count(distinct manager) > 1

),

packages as (

    select
        packages.target,
        packages.package,
        packages.manager,
        packages.version,
        packages.sha256,
        packages.role,
        if(twins.package is null, '', packages.manager) as side
    from {{ ref("int_packages") }} as packages
    left join twins using (target, package)

),

compared as (

    select
        target,
        package,
        side,
        previous.manager as old_manager,
        previous.version as old_version,
        previous.sha256 as old_sha256,
        current.manager as new_manager,
        current.version as new_version,
        current.sha256 as new_sha256
    from (select * from packages where role = 'previous') as previous
    full outer join (select * from packages where role = 'current') as current
        using (target, package, side)

),

judged as (

    select
        *,
        case
            when old_version is null then 'added'
            when new_version is null then 'removed'
            when old_manager <> new_manager then 'moved'
            when {{ is_older("old_version", "new_version") }} then 'upgraded'
            when {{ is_older("new_version", "old_version") }} then 'downgraded'
            when old_version <> new_version or old_sha256 <> new_sha256 then 'rebuilt'
        end as change
    from compared

)

select
    target,
    package,
    coalesce(new_manager, old_manager) as manager,
    change,
    old_version,
    new_version
from judged
where change is not null
