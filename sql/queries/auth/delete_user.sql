-- Deletes a user with everything that is theirs: sessions, articles with what hangs on them, follows, notifications,
-- webhooks. After their favorites were withdrawn, and while they are locked. No row when they are gone.
delete from users where id = $1 returning id
