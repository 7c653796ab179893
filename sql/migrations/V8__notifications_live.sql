-- What changes for a recipient, in one order; and what they do not want to be told.
--
-- A reader that comes back goes on after the last change it saw, so no change may become visible behind one
-- that was visible before. Identities cannot promise that: they are taken early and commit late. A change
-- takes its number from its recipient's clock, whose row stays locked until the change commits.
--
-- Who touches several of these locks them in one order: articles, favorites, clocks by user, notifications by id.

create table notification_clocks (
    user_id bigint not null constraint notification_clocks_pk primary key
            constraint notification_clocks_user references users on delete cascade,
    last    bigint not null default 0 constraint notification_clocks_last check (last >= 0)
-- Room for new versions of a row next to it.
) with (fillfactor = 50);

-- Everybody has a clock from the start, so that it can be locked.
create function notification_clocks_begin() returns trigger language plpgsql as $$
begin
    insert into notification_clocks (user_id) values (new.id);
    return null;
end $$;
create trigger notification_clocks_begin after insert on users
    for each row execute function notification_clocks_begin();

alter table notifications add column change bigint;
update notifications n set change = numbered.change
from (select id, row_number() over (partition by user_id order by id) as change from notifications) numbered
where n.id = numbered.id;
insert into notification_clocks (user_id, last)
select u.id, count(n.id) from users u left join notifications n on n.user_id = u.id group by u.id;
alter table notifications alter column change set not null;
create unique index notifications_changes on notifications (user_id, change);

-- Numbers a change, and wakes those who wait for it once it has committed. A notice names a user and no more:
-- whoever is woken reads. Numbers may be skipped, but never come late.
create function notifications_number() returns trigger language plpgsql as $$
begin
    update notification_clocks set last = last + 1 where user_id = new.user_id returning last into new.change;
    if not found then
        -- They have gone: there is nobody to be told.
        return null;
    end if;
    perform pg_notify('callboard_notifications', new.user_id::text);
    return new;
end $$;
create trigger notifications_number_new before insert on notifications
    for each row execute function notifications_number();
-- That somebody read it is no news to them.
create trigger notifications_number_changed before update on notifications
    for each row when ((new.kind, new.actor_id, new.article_id, new.count)
                       is distinct from (old.kind, old.actor_id, old.article_id, old.count))
    execute function notifications_number();

-- Only what differs from the default, which is to be told, or once did.
create table notification_preferences (
    user_id bigint not null constraint notification_preferences_user references users on delete cascade,
    kind    text not null constraint notification_preferences_kind
            check (kind in ('article_published', 'article_favorited', 'followed')),
    enabled boolean not null,
    constraint notification_preferences_pk primary key (user_id, kind)
);
