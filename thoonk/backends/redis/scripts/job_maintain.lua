-- Contract: job maintenance
--@ keys config ids items reserved published claimed stalled cancelled holders tokens
--@ keys scheduleditems info paused running
-- ARGV: none
-- Returns {ids of expired claims, ids stalled for their failures, ids recovered, ids discarded}.
-- Notices: none; the push itself wakes a blocked consumer.
--@ include feed
--@ include waiting
--@ include running
local config = call('HMGET', keys.config, 'type', 'claim_timeout', 'max_failures', 'paused', 'events')
local refusal = refuse(config[1], 'job') or heed_events(config[5])
if refusal then
  return refusal
end
heed_pause(config[4])
empty_inbox(1000)
-- Refused here, before anything is written, where a key is of another type.
call('LLEN', keys.ids)
call('HLEN', keys.items)
call('LLEN', keys.reserved)
call('ZCARD', keys.published)
call('ZCARD', keys.claimed)
call('SCARD', keys.stalled)
call('HLEN', keys.cancelled)
call('HLEN', keys.holders)
call('HLEN', keys.tokens)
call('HLEN', keys.scheduleditems)
call('HLEN', keys.info)
call('ZCARD', keys.running)
local expired, stalled, recovered, discarded = {}, {}, {}, {}
local timeout = (seconds_in(config[2]) or 0) * 1000
-- A peer that was woken by an empty id may have claimed it.
call('ZREM', keys.claimed, '')
if timeout > 0 then
  local max_failures = count_in(config[3])
  repeat
    local old = {}
    local looked_at = expire(now(), timeout, 1000, function(id)
      old[#old + 1] = id
    end)
    local waiting, out = requeue_or_stall(old, max_failures)
    for _, id in ipairs(waiting) do
      expired[#expired + 1] = id
    end
    for _, id in ipairs(out) do
      stalled[#stalled + 1] = id
    end
  until looked_at < 1000
end

-- A consumer that died while it waited has left its id on the list of reservations.
local id = call('LPOP', keys.reserved)
while id do
  call('RPUSH', keys.ids, id)
  id = call('LPOP', keys.reserved)
end

-- Peers end claims without knowing of holders and tokens.
local void = {}
for _, claimed in ipairs(call('HKEYS', keys.holders)) do
  if not call('ZSCORE', keys.claimed, claimed) then
    void[#void + 1] = claimed
  end
end
for from = 1, #void, 1000 do
  local some = {unpack(void, from, math.min(from + 999, #void))}
  end_claims(some, call('HMGET', keys.holders, unpack(some)))
end

-- Nobody removes these when a claim ends.
local at, left_over = 0, call('ZCARD', keys.running)
while at < left_over do
  local gone = forget_running(at, at + 999)
  at, left_over = at + 1000 - gone, left_over - gone
end

-- Looking at every item costs as much as there are: only when the numbers do not add up.
local known = call('LLEN', keys.ids) + call('ZCARD', keys.claimed) + call('SCARD', keys.stalled)
  - bells()
if known ~= call('HLEN', keys.items) then
  local waiting = {}
  for _, waits in ipairs(call('LRANGE', keys.ids, 0, -1)) do
    waiting[waits] = true
  end
  for _, lost in ipairs(call('HKEYS', keys.items)) do
    if not waiting[lost] and not call('ZSCORE', keys.claimed, lost)
        and call('SISMEMBER', keys.stalled, lost) == 0 then
      -- While a job waits or is claimed it has a time of publication. Without one it was
      -- retracted by a peer that forgot the item: it must not run.
      if call('ZSCORE', keys.published, lost) then
        call('LPUSH', keys.ids, lost)
        recovered[#recovered + 1] = lost
        tell('put', {lost})
      else
        call('HDEL', keys.items, lost)
        call('HDEL', keys.cancelled, lost)
        call('HDEL', keys.holders, lost)
        call('HDEL', keys.info, lost)
        discarded[#discarded + 1] = lost
        tell('retracted', {lost})
      end
    end
  end
end

-- Nor do they know what else was noted of the jobs that they end.
for _, known in ipairs(call('HKEYS', keys.info)) do
  if call('HEXISTS', keys.items, known) + call('HEXISTS', keys.scheduleditems, known) == 0 then
    call('HDEL', keys.info, known)
  end
end
return {expired, stalled, recovered, discarded}
