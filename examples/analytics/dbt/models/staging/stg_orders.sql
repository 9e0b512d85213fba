select
    order_id,
    cast(ordered_at as date) as order_date,
    cents / 100.0 as amount
from {{ ref('raw_orders') }}
