-- Records restarts of one node, all or none of them.
insert into actor_restarts (node, path, exit_kind, message, incarnation, backoff_ms,
                            budget_max, budget_period_s, budget_used, recovered_ms, at)
select $1, t.*
from unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[],
            $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::timestamptz[]) as t
