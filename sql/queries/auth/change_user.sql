-- Changes what is given of a user; a new password's hash ends all their sessions but $2, on every node from this
-- commit on. Exact only while the user is locked by an earlier statement. No row when the user is gone.
with changed as (
    update users
    set name = coalesce($3, name), bio = coalesce($4, bio), image = coalesce($5, image), email = coalesce($6, email),
        password_hash = coalesce($7, password_hash), updated_at = now()
    where id = $1
    returning id, email, name, bio, image, created_at, updated_at
), ended as (
    update sessions set ended_at = now()
    where user_id = $1 and id <> $2 and ended_at is null and $7 is not null
)
select id, email, name, bio, image, created_at, updated_at from changed
