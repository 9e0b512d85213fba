-- A file, so that who reads it does not wait for DuckDB's one writer.
{{ config(materialized='external', location='orders_by_day.parquet') }}

select
    order_date,
    count(*) as orders,
    sum(amount) as revenue
from {{ ref('stg_orders') }}
group by order_date
