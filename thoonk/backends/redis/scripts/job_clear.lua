-- Contract: job clear
-- One short step of it.
--@ keys config ids items reserved published claimed stalled cancelled holders tokens
--@ keys scheduled scheduleditems unique info paused
-- ARGV: 1 state of the jobs that go, 2 how many at most, 3 session, 4 call
-- Returns {how many went, how many are left in that state}.
-- Notices: none.
--@ include once
--@ include feed
--@ include schedule
--@ include claim
if answered then
  return answered
end
local config = call('HMGET', keys.config, 'type', 'paused', 'events')
local refusal = refuse(config[1], 'job') or heed_events(config[3])
if refusal then
  return refusal
end
heed_pause(config[2])
-- Refused here, before anything is written, where a key is of another type.
call('HLEN', keys.items)
call('HLEN', keys.cancelled)
call('ZCARD', keys.published)
call('ZCARD', keys.unique)
call('HLEN', keys.info)
call('LLEN', keys.ids)
call('LLEN', keys.reserved)
call('HLEN', keys.scheduleditems)
call('HLEN', keys.tokens)
call('HLEN', keys.holders)
call('ZCARD', keys.claimed)
call('SCARD', keys.stalled)
call('ZCARD', keys.scheduled)
local state, most, ids, left, is_rung = ARGV[1], tonumber(ARGV[2]), {}, nil, false
if state == 'waiting' then
  for _, list in ipairs({keys.reserved, keys.ids}) do
    for _, id in ipairs(most > #ids and call('RPOP', list, most - #ids) or {}) do
      if id == '' then
        is_rung = true
      else
        ids[#ids + 1] = id
      end
    end
  end
  if is_rung and call('ZCARD', keys.scheduled) > 0 then
    -- Whom it is to wake may be about to block.
    ring()
  end
  left = call('LLEN', keys.ids) + call('LLEN', keys.reserved) - bells()
elseif state == 'stalled' then
  ids = call('SPOP', keys.stalled, most)
  left = call('SCARD', keys.stalled)
elseif state == 'scheduled' then
  ids = call('ZRANGE', keys.scheduled, 0, most - 1)
  if #ids > 0 then
    call('ZREM', keys.scheduled, unpack(ids))
    call('HDEL', keys.scheduleditems, unpack(ids))
  end
  left = call('ZCARD', keys.scheduled)
else
  -- A peer that was woken by an empty id may have claimed it.
  call('ZREM', keys.claimed, '')
  ids = call('ZRANGE', keys.claimed, 0, most - 1)
  if #ids > 0 then
    local _, holders = claims_on(ids)
    end_claims(ids, holders)
  end
  left = call('ZCARD', keys.claimed)
end
if #ids > 0 then
  call('HDEL', keys.items, unpack(ids))
  call('HDEL', keys.cancelled, unpack(ids))
  call('ZREM', keys.published, unpack(ids))
  call('ZREM', keys.unique, unpack(ids))
  call('HDEL', keys.info, unpack(ids))
end
local count = #ids
for _, id in ipairs(ids) do
  if id == '' then
    -- It wakes consumers, and is no job.
    count = count - 1
  else
    tell('retracted', {id})
  end
end
return remember({count, left})
