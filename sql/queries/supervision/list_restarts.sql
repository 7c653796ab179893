-- A page of the restarts of all nodes, newest first: those before $1, at most $2.
select id, restart_id, node, path, reason, exit_kind, message, incarnation, backoff_ms,
       budget_max, budget_period_s, budget_used, recovered_ms, trace_id, at
from actor_restarts
where id < coalesce($1, 9223372036854775807)
order by id desc
limit $2
