-- What somebody said about which kinds they want to be told; of the others nothing was said.
select kind, enabled from notification_preferences where user_id = $1
