{#- A value that orders versions as PEP 440 does: epoch, release without trailing zeros, phase (dev,
    a, b, rc, final, post), its number, whether it is a final of that phase, and the rest as text.
    Versions that do not follow PEP 440, as conda's 1.1.1w, come after their release. -#}
{% macro version_key(version) -%}
    {%- set text = "lower(" ~ version ~ ")" -%}
    {%- set release = "regexp_extract(" ~ text ~ ", '^(?:\\d+!)?v?(\\d+(?:\\.\\d+)*)', 1)" -%}
    {%- set public = "split_part(" ~ text ~ ", '+', 1)" -%}
    {%- set suffix =
        "regexp_replace(" ~ public ~ ", '^(?:\\d+!)?v?(?:\\d+(?:\\.\\d+)*)?[._-]?', '')"
    -%}
    row(
        coalesce(try_cast(regexp_extract({{ text }}, '^(\d+)!', 1) as bigint), 0),
        list_transform(
            string_split(regexp_replace({{ release }}, '(\.0+)+$', ''), '.'),
            lambda part: coalesce(try_cast(part as bigint), 0)
        ),
        case
            when {{ suffix }} = '' then 0
            when regexp_matches({{ suffix }}, '^dev') then -4
            when regexp_matches({{ suffix }}, '^(a|alpha)[._-]?\d*([._-]|$)') then -3
            when regexp_matches({{ suffix }}, '^(b|beta)[._-]?\d*([._-]|$)') then -2
            when regexp_matches({{ suffix }}, '^(c|rc|pre|preview)[._-]?\d*([._-]|$)') then -1
            else 1
        end,
        coalesce(
            try_cast(regexp_extract({{ suffix }}, '^[a-z]+[._-]?(\d+)', 1) as bigint), 0
        ),
        case when regexp_matches({{ suffix }}, '.dev') then 0 else 1 end,
        regexp_extract({{ text }}, '\+(.*)$', 1),
        {{ suffix }}
    )
{%- endmacro %}

{#- Whether one version comes before another. -#}
{% macro is_older(one, other) -%}
    ({{ version_key(one) }} < {{ version_key(other) }})
{%- endmacro %}
