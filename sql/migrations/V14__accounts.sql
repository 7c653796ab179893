-- Sessions are shown to whom they belong to, and forgotten when they have been over for long; and whoever leaves takes
-- all that is theirs along without a search through whole tables.

alter table sessions
    -- What the client called itself when it signed in, cut short. Goes with the row.
    add column user_agent text not null default '' constraint sessions_user_agent_length check (length(user_agent) <= 200),
    add column refreshed_at timestamptz constraint sessions_refresh_after_creation check (refreshed_at >= created_at);

-- Also those that ended: they go with their user.
create index sessions_of_their_user on sessions (user_id, created_at desc);
drop index sessions_of_user;
-- For whoever forgets them.
create index sessions_by_end on sessions (least(ended_at, expires_at));

-- What goes with an article and with whoever did it is found, and not searched for.
create index notifications_of_article on notifications (article_id) where article_id is not null;
create index notifications_of_actor on notifications (actor_id);
