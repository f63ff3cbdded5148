-- Contract: job maintenance
-- KEYS: 1 config, 2 ids, 3 items, 4 reserved, 5 published, 6 claimed, 7 stalled, 8 cancelled,
--       9 holders, 10 tokens
-- ARGV: none
-- Returns {ids of expired claims, ids stalled for their failures, ids recovered, ids discarded}.
-- Notices: none; a blocked taker wakes by the push itself.
--@ include feed
--@ include claim
local config = call('HMGET', KEYS[1], 'type', 'claim_timeout', 'max_failures')
local refusal = refuse(config[1], 'job')
if refusal then
  return refusal
end
-- Refused here, before anything is written, where a key is of another type.
call('LLEN', KEYS[2])
call('HLEN', KEYS[3])
call('LLEN', KEYS[4])
call('ZCARD', KEYS[5])
call('ZCARD', KEYS[6])
call('SCARD', KEYS[7])
call('HLEN', KEYS[8])
call('HLEN', KEYS[9])
call('HLEN', KEYS[10])
local keys = {
  ids = KEYS[2], published = KEYS[5], claimed = KEYS[6], stalled = KEYS[7],
  cancelled = KEYS[8], holders = KEYS[9], tokens = KEYS[10],
}
local expired, stalled, recovered, discarded = {}, {}, {}, {}
local timeout = (seconds_in(config[2]) or 0) * 1000
if timeout > 0 then
  local max_failures = count_in(config[3])
  repeat
    local old = {}
    local looked_at = expire(keys, now(), timeout, 1000, function(id)
      old[#old + 1] = id
    end)
    local waiting, out = requeue_or_stall(keys, old, max_failures)
    for _, id in ipairs(waiting) do
      expired[#expired + 1] = id
    end
    for _, id in ipairs(out) do
      stalled[#stalled + 1] = id
    end
  until looked_at < 1000
end

-- A taker that died while it waited has left its id on the list of reservations.
local id = call('LPOP', KEYS[4])
while id do
  call('RPUSH', KEYS[2], id)
  id = call('LPOP', KEYS[4])
end

-- Peers end claims without knowing of holders and tokens.
local void = {}
for _, claimed in ipairs(call('HKEYS', KEYS[9])) do
  if not call('ZSCORE', KEYS[6], claimed) then
    void[#void + 1] = claimed
  end
end
for from = 1, #void, 1000 do
  local some = {unpack(void, from, math.min(from + 999, #void))}
  end_claims(keys, some, call('HMGET', keys.holders, unpack(some)))
end

-- Looking at every item costs as much as there are: only when the numbers do not add up.
local known = call('LLEN', KEYS[2]) + call('ZCARD', KEYS[6]) + call('SCARD', KEYS[7])
if known ~= call('HLEN', KEYS[3]) then
  local waiting = {}
  for _, waits in ipairs(call('LRANGE', KEYS[2], 0, -1)) do
    waiting[waits] = true
  end
  for _, lost in ipairs(call('HKEYS', KEYS[3])) do
    if not waiting[lost] and not call('ZSCORE', KEYS[6], lost)
        and call('SISMEMBER', KEYS[7], lost) == 0 then
      -- While a job waits or is claimed it has a time of publication. Without one it was
      -- retracted by a peer that forgot the item: it must not run.
      if call('ZSCORE', KEYS[5], lost) then
        call('LPUSH', KEYS[2], lost)
        recovered[#recovered + 1] = lost
      else
        call('HDEL', KEYS[3], lost)
        call('HDEL', KEYS[8], lost)
        call('HDEL', KEYS[9], lost)
        discarded[#discarded + 1] = lost
      end
    end
  end
end
return {expired, stalled, recovered, discarded}
