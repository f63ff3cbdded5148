-- Contract: sorted edit
--@ keys config items publishes
-- ARGV: 1 edit channel, 2 id, 3 item, 4 session, 5 call
-- Returns 1. An unknown id is an error.
-- Notices: edit.
--@ include once
--@ include feed
--@ include size
--@ include notify
if answered then
  return answered
end
local config = call('HMGET', keys.config, 'type', 'max_item_size')
local refusal = refuse(config[1], 'sorted_feed') or oversized(config[2], 3)
  or muted(ARGV[1])
if refusal then
  return refusal
end
if call('HEXISTS', keys.items, ARGV[2]) == 0 then
  return redis.error_reply('NOITEM 1 (the item)')
end
call('HSET', keys.items, ARGV[2], ARGV[3])
redis.pcall('INCR', keys.publishes) -- what is no number is left
call('PUBLISH', ARGV[1], ARGV[2] .. '\0' .. ARGV[3])
return remember(1)
