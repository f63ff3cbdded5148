-- Contract: job retract
--@ keys config ids items reserved published claimed stalled cancelled holders tokens
--@ keys scheduled scheduleditems unique info paused
-- ARGV: ids, then session and call
-- Returns 1 for each id that was there, else 0.
-- Notices: none.
--@ include once
--@ include feed
--@ include waiting
--@ include claim
--@ include unlist
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
call('ZCARD', keys.scheduled)
call('HLEN', keys.scheduleditems)
call('ZCARD', keys.unique)
call('HLEN', keys.info)
call('ZCARD', keys.published)
call('SCARD', keys.stalled)
call('ZCARD', keys.claimed)
call('HLEN', keys.holders)
call('HLEN', keys.tokens)
call('LLEN', keys.ids)
call('LLEN', keys.reserved)
local since, holders = claims_on(ARGV)
local claimed, held_by, wanted, others, removed = {}, {}, {}, {}, {}
local half = call('ZCARD', keys.published) / 2
for index, id in ipairs(ARGV) do
  if since[index] then
    claimed[#claimed + 1], held_by[#held_by + 1] = id, holders[index]
  elseif call('SREM', keys.stalled, id) == 0 and not wanted[id] then
    -- What was put first is at the right end of the list, as a rule.
    wanted[id] = (call('ZRANK', keys.published, id) or 0) < half and -1 or 1
    others[#others + 1] = id
  end
  removed[index] = math.max(call('HDEL', keys.items, id), call('HDEL', keys.scheduleditems, id))
end
call('HDEL', keys.cancelled, unpack(ARGV))
call('ZREM', keys.published, unpack(ARGV))
call('ZREM', keys.scheduled, unpack(ARGV))
call('ZREM', keys.unique, unpack(ARGV))
call('HDEL', keys.info, unpack(ARGV))
if #claimed > 0 then
  end_claims(claimed, held_by)
end
unlist(others, wanted)
for index, id in ipairs(ARGV) do
  if removed[index] == 1 then
    tell('retracted', {id})
  end
end
return remember(removed)
