{{ config(materialized="view") }}
select 1 as id, {{ dbt.string_literal("well?") }} as question
union all
select 2 as id, {{ dbt.string_literal("really?") }} as question
