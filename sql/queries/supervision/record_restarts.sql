-- Records restarts of one node, all or none of them, each once however often it is recorded.
insert into actor_restarts (node, restart_id, path, reason, exit_kind, message, incarnation, backoff_ms,
                            budget_max, budget_period_s, budget_used, recovered_ms, trace_id, at)
select $1, t.*
from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[],
            $9::bigint[], $10::bigint[], $11::bigint[], $12::double precision[], $13::text[], $14::timestamptz[]) as t
on conflict (restart_id) do nothing
