-- The ledger says why an actor was started again, which request that cost, and how fast it was back to the
-- fraction of a millisecond; a restart recorded twice is there once. The exit of one that ended calmly is an error.

alter table actor_restarts
    add column restart_id uuid not null default gen_random_uuid() constraint actor_restarts_restart_id unique,
    add column reason text not null default 'crashed' constraint actor_restarts_reason
        check (reason in ('crashed', 'gave_up', 'start_failed', 'killed', 'sibling_ended', 'supervisor_ended')),
    add column trace_id text constraint actor_restarts_trace_id check (trace_id ~ '^[0-9a-f]{32}$'),
    alter column recovered_ms type double precision,
    alter column recovered_ms drop not null;
alter table actor_restarts alter column restart_id drop default, alter column reason drop default;

update actor_restarts set exit_kind = 'error' where exit_kind = 'normal';
alter table actor_restarts drop constraint actor_restarts_exit_kind;
alter table actor_restarts add constraint actor_restarts_exit_kind check (exit_kind in ('panic', 'error', 'killed'));

create index actor_restarts_by_age on actor_restarts (at);
