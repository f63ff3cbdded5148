-- Contract: sorted edit
-- KEYS: 1 config, 2 items, 3 publishes, 4 answers
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
local config = call('HMGET', KEYS[1], 'type', 'max_item_size')
local refusal = refuse(config[1], 'sorted_feed') or oversized(config[2], 3)
  or muted(ARGV[1])
if refusal then
  return refusal
end
if call('HEXISTS', KEYS[2], ARGV[2]) == 0 then
  return redis.error_reply('NOITEM 1 (the item)')
end
call('HSET', KEYS[2], ARGV[2], ARGV[3])
redis.pcall('INCR', KEYS[3]) -- what is no number is left
call('PUBLISH', ARGV[1], ARGV[2] .. '\0' .. ARGV[3])
return remember(1)
