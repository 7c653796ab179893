-- Locks a user, so that statements after this one in the transaction see every session that was opened with the
-- password they had. No row when the user is gone, or when $2 is given and not their password's hash any more.
select id from users
where id = $1 and ($2::text is null or password_hash = $2)
for no key update
