-- Contract: queue put
-- KEYS: 1 config, 2 ids, 3 items, 4 publishes, 5 answers
-- ARGV: 1 priority (0 normal, 1 high), then id, item, id, item ...,
--       then session and call
-- Returns the count of entries.
-- Notices: none; a blocked taker wakes by the push itself.
--@ include once
--@ include feed
--@ include size
if answered then
  return answered
end
local config = call('HMGET', KEYS[1], 'type', 'max_item_size')
local refusal = refuse(config[1], 'queue') or oversized(config[2], 3)
if refusal then
  return refusal
end
-- Refused here, before anything is written, where a key is of another type.
call('LLEN', KEYS[2])
local ids = {}
for index = 2, #ARGV, 2 do
  ids[#ids + 1] = ARGV[index]
end
call('HSET', KEYS[3], unpack(ARGV, 2))
redis.pcall('INCRBY', KEYS[4], #ids) -- what is no number is left
call(ARGV[1] == '1' and 'RPUSH' or 'LPUSH', KEYS[2], unpack(ids))
return remember(#ids)
