-- Contract: queue put
-- KEYS: 1 config, 2 ids, 3 items, 4 publishes, 5 answers
-- ARGV: 1 priority (0 normal, 1 high), then id, item, id, item ...,
--       then slot and call
-- Returns the count of entries.
-- Notices: none; a blocked taker wakes by the push itself.
--@ once
--@ include feed
local config = redis.call('HMGET', KEYS[1], 'type', 'max_item_size')
local refusal = refuse(config[1], 'queue') or oversized(config[2], 3)
if refusal then
  return refusal
end
local push = ARGV[1] == '1' and 'RPUSH' or 'LPUSH'
for index = 2, #ARGV, 2 do
  redis.call('HSET', KEYS[3], ARGV[index], ARGV[index + 1])
  redis.call('INCR', KEYS[4])
  redis.call(push, KEYS[2], ARGV[index])
end
return (#ARGV - 1) / 2
