-- Before a user leaves, last: locks them against whatever would still be theirs, since whoever writes that holds
-- nothing else by then that is waited for. No row when they are gone, or $2 is not their password's hash any more.
select id from users where id = $1 and password_hash = $2 for update
