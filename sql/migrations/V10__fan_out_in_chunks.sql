-- An author's followers are told chunk by chunk, in the order of their ids.
create index follows_of_followed on follows (followed_id, follower_id);
drop index follows_by_followed;
