-- Stores a password's hash at another cost, if the one that was verified is still there. No row when it is not.
update users set password_hash = $3
where id = $1 and password_hash = $2
returning id
