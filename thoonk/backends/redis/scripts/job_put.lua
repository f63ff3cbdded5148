-- Contract: job put
--@ keys config ids items publishes published paused
-- ARGV: 1 priority (0 normal, 1 high), then id, item, id, item ...,
--       then session and call
-- Returns the count of entries.
-- Notices: none; the push itself wakes a blocked consumer.
--@ include once
--@ include numbers
--@ include feed
--@ include size
--@ include waiting
--@ include events
if answered then
  return answered
end
local config = call('HMGET', keys.config, 'type', 'max_item_size', 'paused', 'events')
local refusal = refuse(config[1], 'job') or oversized(config[2], 3) or heed_events(config[4])
if refusal then
  return refusal
end
heed_pause(config[3])
-- Refused here, before anything is written, where a key is of another type.
call('LLEN', keys.ids)
call('ZCARD', keys.published)
local time = text_of(now())
local ids, times = {}, {}
for index = 2, #ARGV, 2 do
  ids[#ids + 1] = ARGV[index]
  times[#times + 1] = time
  times[#times + 1] = ARGV[index]
end
call('HSET', keys.items, unpack(ARGV, 2))
redis.pcall('INCRBY', keys.publishes, #ids) -- what is no number is left
call('ZADD', keys.published, unpack(times))
call(ARGV[1] == '1' and 'RPUSH' or 'LPUSH', keys.ids, unpack(ids))
tell('put', ids)
return remember(#ids)
