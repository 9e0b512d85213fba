with families as (

    select
        packages.target,
        packages.manager,
        packages.package,
        families.family,
        families.owner
    from {{ ref("int_current_packages") }} as packages
    inner join {{ ref("families") }} as families
        on packages.package = families.name_prefix
        or starts_with(packages.package, families.name_prefix || '-')
    -- The longest prefix is the nearest family.
    qualify row_number() over (
        partition by packages.target, packages.manager, packages.package
        order by length(families.name_prefix) desc
    ) = 1

),

aged as (

    select
        *,
        date_diff('day', cast(released_at as date), {{ as_of() }}) as age_days
    from {{ ref("int_current_packages") }}

)

select
    aged.target,
    aged.lock_digest,
    aged.manager,
    aged.package,
    aged.version,
    aged.build,
    coalesce(families.family, 'other') as family,
    families.owner,
    aged.source,
    aged.sha256,
    aged.size_bytes,
    aged.requested,
    len(aged.required_by) as required_by_count,
    aged.released_at,
    aged.age_days,
    case
        when aged.age_days is null then 'unknown'
        when aged.age_days <= 90 then 'fresh'
        when aged.age_days <= 365 then 'ageing'
        else 'stale'
    end as staleness
from aged
left join families using (target, manager, package)
