-- Contract: job retract
-- KEYS: 1 config, 2 ids, 3 items, 4 reserved, 5 published, 6 claimed, 7 stalled, 8 cancelled,
--       9 holders
-- ARGV: ids
-- Returns 1 for each id that was there, else 0.
-- Notices: none.
--@ include feed
local refusal = refuse(redis.call('HGET', KEYS[1], 'type'), 'job')
if refusal then
  return refusal
end
local removed = {}
for _, id in ipairs(ARGV) do
  removed[#removed + 1] = redis.call('HDEL', KEYS[3], id)
  redis.call('HDEL', KEYS[8], id)
  redis.call('HDEL', KEYS[9], id)
  redis.call('ZREM', KEYS[5], id)
  redis.call('SREM', KEYS[7], id)
  if redis.call('ZREM', KEYS[6], id) == 0 then
    if redis.call('LREM', KEYS[2], 1, id) == 0 then
      redis.call('LREM', KEYS[4], 1, id)
    end
  end
end
return removed
