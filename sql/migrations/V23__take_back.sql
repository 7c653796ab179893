-- Takes back what authors were told of favorites that are gone and have not read, where told is the notification of each
-- of these favorites. For whoever removes them, once for all of them (favorites/set): as part of that statement it was half
-- of its plan, which is made ready each time, and is seldom needed. And here each statement sees what was committed before it
-- began, so also what was told by somebody whom the removal has waited for.
create function take_back(told bigint[]) returns void language plpgsql as $$
declare
    -- Ordered, so that they are found by their ids, whatever was known of the table when this was planned.
    unread cursor for
        select n.id, n.count, (select count(*) from unnest(told) as t (id) where t.id = n.id) as gone
        from notifications n
        where n.id = any (told) and n.read_at is null
        order by n.id
        for update;
begin
    -- Whoever changes notifications locks their recipients' clocks before them, in this order.
    perform from notification_clocks c
    where c.user_id = any (array(
        select n.user_id from notifications n
        where n.id = any (told) and n.kind = 'article_favorited'
        order by n.id))
    order by c.user_id
    for no key update;

    for notification in unread loop
        if notification.count <= notification.gone then
            delete from notifications where current of unread;
        else
            update notifications n
            set count = notification.count - notification.gone, updated_at = now(),
                -- It names the last of those who still like the article.
                actor_id = coalesce((
                    select f.user_id from favorites f
                    where f.notification_id = notification.id
                    order by f.created_at desc, f.user_id
                    limit 1), n.actor_id)
            where current of unread;
        end if;
    end loop;
end
$$;
