{#- The day that ages are counted to: the variable `as_of`, else ELT_AS_OF (YYYY-MM-DD). There is
    no default, so that the same rows give the same marts on every day. -#}
{% macro as_of() -%}
    {%- set day = var("as_of", env_var("ELT_AS_OF", "")) -%}
    {%- if execute and not day -%}
        {{ exceptions.raise_compiler_error(
            "There is no day to count ages to: set ELT_AS_OF, or give --vars '{as_of: YYYY-MM-DD}'."
        ) }}
    {%- endif -%}
    cast('{{ day }}' as date)
{%- endmacro %}
