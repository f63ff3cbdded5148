-- Contract: sorted append / prepend / before / after
-- KEYS: 1 config, 2 ids, 3 items, 4 publishes, 5 idincr, 6 answers
-- ARGV: 1 publish channel, 2 position channel, 3 where (begin, end, before, after),
--       4 neighbour, 5 position as text, 6 item, 7 slot, 8 call
-- Returns the new id. A missing neighbour is an error, writes nothing and uses up no id.
-- Notices: publish, then position.
--@ once
--@ include feed
local config = redis.call('HMGET', KEYS[1], 'type', 'max_item_size')
local refusal = refuse(config[1], 'sorted_feed') or oversized(config[2], 6)
if refusal then
  return refusal
end
local id = string.format('%.0f', (tonumber(redis.call('GET', KEYS[5]) or '') or 0) + 1)
if ARGV[3] == 'begin' then
  redis.call('LPUSH', KEYS[2], id)
elseif ARGV[3] == 'end' then
  redis.call('RPUSH', KEYS[2], id)
elseif redis.call('LINSERT', KEYS[2], ARGV[3], ARGV[4], id) < 1 then
  return redis.error_reply('NOITEM 2 (the neighbour)')
end
redis.call('INCR', KEYS[5])
redis.call('HSET', KEYS[3], id, ARGV[6])
redis.call('INCR', KEYS[4])
redis.call('PUBLISH', ARGV[1], id .. '\0' .. ARGV[6])
redis.call('PUBLISH', ARGV[2], id .. '\0' .. ARGV[5])
return id
