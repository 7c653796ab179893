-- What people are told. A notification is made by a job, at most once for each event: the unique
-- indexes hold even if a job ran twice.

create table notifications (
    id         bigint generated always as identity constraint notifications_pk primary key,
    user_id    bigint not null constraint notifications_user references users on delete cascade,
    kind       text not null constraint notifications_kind check (kind in ('article_published', 'article_favorited', 'followed')),
    actor_id   bigint not null constraint notifications_actor references users on delete cascade,
    article_id bigint constraint notifications_article references articles on delete cascade,
    count      bigint not null default 1 constraint notifications_count check (count >= 1),
    read_at    timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint notifications_article_unless_followed check ((kind = 'followed') = (article_id is null))
);
create index notifications_of_user on notifications (user_id, id desc);
create index notifications_unread on notifications (user_id) where read_at is null;
create unique index notifications_one_for_a_publication on notifications (user_id, article_id) where kind = 'article_published';
-- Unread favorites of one article collapse into one row.
create unique index notifications_one_unread_for_favorites on notifications (user_id, article_id)
    where kind = 'article_favorited' and read_at is null;

-- Which favorites have been told, and in which row, so that an unfavorite can take itself out of it.
alter table favorites add column notification_id bigint
    constraint favorites_notification references notifications on delete set null;
create index favorites_told on favorites (notification_id) where notification_id is not null;
