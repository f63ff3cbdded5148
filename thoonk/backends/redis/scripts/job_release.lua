-- Contract: job release
-- KEYS: 1 config, 2 ids, 3 claimed, 4 holders
-- ARGV: 1 token, then ids in the order in which they were claimed
-- Returns 1 for each id that was claimed under the token, else 0.
-- Notices: none; a blocked taker wakes by the push itself.
--@ include feed
--@ include clock
--@ include claim
local refusal = refuse(redis.call('HGET', KEYS[1], 'type'), 'job')
if refusal then
  return refusal
end
local released = {}
for index = #ARGV, 2, -1 do
  local id = ARGV[index]
  released[index - 1] = 0
  if holds(KEYS[3], KEYS[4], id, ARGV[1]) then
    redis.call('ZREM', KEYS[3], id)
    redis.call('HDEL', KEYS[4], id)
    redis.call('RPUSH', KEYS[2], id)
    released[index - 1] = 1
  end
end
return released
