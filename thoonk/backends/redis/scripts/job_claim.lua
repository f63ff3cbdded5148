-- Contract: job get
-- KEYS: 1 config, 2 ids, 3 items, 4 reserved, 5 published, 6 claimed, 7 stalled, 8 cancelled,
--       9 holders, 10 tokens
-- ARGV: 1 how many at most, 2 token
-- Returns {ms until a claim may run out or -1, {id, item, cancelled, id, item, cancelled ...}}.
-- With a token that has claimed before: the same again.
-- Notices: none.
--@ include feed
--@ include clock
--@ include claim
local config = redis.call('HMGET', KEYS[1], 'type', 'claim_timeout', 'max_failures')
local refusal = refuse(config[1], 'job')
if refusal then
  return refusal
end
local keys = {
  ids = KEYS[2], items = KEYS[3], reserved = KEYS[4], published = KEYS[5], claimed = KEYS[6],
  stalled = KEYS[7], cancelled = KEYS[8], holders = KEYS[9], tokens = KEYS[10],
}
local time, wake = now(), -1
local timeout = (tonumber(config[2] or '') or 0) * 1000
if timeout > 0 then
  local max_failures = tonumber(config[3] or '') or 0
  expire(keys, time, timeout, 100, function(id)
    give_back(keys, id, max_failures)
  end)
end
local taken = {}
for _, pair in ipairs(take(keys, ARGV[2], tonumber(ARGV[1]), time)) do
  taken[#taken + 1] = pair[1]
  taken[#taken + 1] = pair[2]
  taken[#taken + 1] = tonumber(redis.call('HGET', keys.cancelled, pair[1]) or '0')
end
if timeout > 0 and #taken == 0 then
  wake = time_left(keys, time, timeout)
end
return {wake, taken}
