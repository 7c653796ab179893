-- Secrets that webhooks have replaced: they sign as well for a while, so that receivers can change theirs without
-- losing a message.
create table webhook_retired_secrets (
    id         bigint generated always as identity constraint webhook_retired_secrets_pk primary key,
    webhook_id bigint not null constraint webhook_retired_secrets_webhook references webhooks on delete cascade,
    secret     bytea not null constraint webhook_retired_secrets_length check (length(secret) between 24 and 64),
    until      timestamptz not null
);
create index webhook_retired_secrets_of_webhook on webhook_retired_secrets (webhook_id, until);
create index webhook_retired_secrets_by_end on webhook_retired_secrets (until);
