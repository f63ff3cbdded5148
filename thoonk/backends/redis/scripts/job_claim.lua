-- Contract: job get
-- KEYS: 1 config, 2 ids, 3 items, 4 reserved, 5 published, 6 claimed, 7 stalled, 8 cancelled,
--       9 holders
-- ARGV: 1 how many at most, 2 token
-- Returns {ms until a claim may expire or -1, {id, item, cancelled, id, item, cancelled ...}}.
-- Notices: none.
--@ include feed
--@ include clock
--@ include claim
local config = redis.call('HMGET', KEYS[1], 'type', 'claim_timeout', 'max_failures')
local refusal = refuse(config[1], 'job')
if refusal then
  return refusal
end
local time = now()
local timeout = (tonumber(config[2] or '') or 0) * 1000
if timeout > 0 then
  local keys = {
    ids = KEYS[2], published = KEYS[5], claimed = KEYS[6], stalled = KEYS[7],
    cancelled = KEYS[8], holders = KEYS[9],
  }
  expire(keys, time, timeout, tonumber(config[3] or '') or 0, 100)
end
local taken = {}
while #taken < 3 * tonumber(ARGV[1]) do
  local id = redis.call('RPOP', KEYS[4]) or redis.call('RPOP', KEYS[2])
  if not id then
    break
  end
  local item = redis.call('HGET', KEYS[3], id)
  -- An id without item was retracted by a peer that left it in the list.
  if item then
    hold(KEYS[6], KEYS[9], id, ARGV[2], time)
    taken[#taken + 1] = id
    taken[#taken + 1] = item
    taken[#taken + 1] = tonumber(redis.call('HGET', KEYS[8], id) or '0')
  end
end
local wake = -1
if timeout > 0 and #taken == 0 then
  -- A claim made a moment from now expires after `timeout`, the oldest perhaps sooner.
  wake = timeout
  local oldest = redis.call('ZRANGE', KEYS[6], 0, 0, 'WITHSCORES')
  if oldest[2] then
    wake = math.min(wake, math.max(0, tonumber(oldest[2]) + timeout - time))
  end
  wake = math.ceil(wake)
end
return {wake, taken}
