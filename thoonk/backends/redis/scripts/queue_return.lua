-- Contract: queue return
-- KEYS: 1 config, 2 ids, 3 items
-- ARGV: id, item, id, item ... in the order in which they were taken
-- Returns the count of entries.
-- Notices: none; a blocked taker wakes by the push itself.
--@ include feed
local refusal = refuse(redis.call('HGET', KEYS[1], 'type'), 'queue')
if refusal then
  return refusal
end
for index = #ARGV - 1, 1, -2 do
  redis.call('HSET', KEYS[3], ARGV[index], ARGV[index + 1])
  redis.call('RPUSH', KEYS[2], ARGV[index])
end
return #ARGV / 2
