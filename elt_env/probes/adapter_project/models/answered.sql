{{ config(materialized="table") }}
select questions.id, questions.question, {{ shout("answers.answer") }} as answer
from {{ ref("questions") }} as questions
inner join {{ ref("answers") }} as answers on questions.id = answers.id
