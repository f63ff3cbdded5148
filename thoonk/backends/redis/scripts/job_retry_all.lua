-- Contract: job retry all
-- One short step of it.
--@ keys config ids items published stalled cancelled paused
-- ARGV: 1 how many at most, 2 session, 3 call
-- Returns {how many are available again, how many are still stalled}.
-- Notices: none; the push itself wakes a blocked consumer.
--@ include once
--@ include numbers
--@ include feed
--@ include waiting
--@ include events
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
call('ZCARD', keys.published)
call('LLEN', keys.ids)
call('HLEN', keys.cancelled)
local time, ids, times = text_of(now()), {}, {}
for _, id in ipairs(call('SPOP', keys.stalled, ARGV[1])) do
  -- Of one without item nothing is left but this.
  if call('HEXISTS', keys.items, id) == 1 then
    ids[#ids + 1] = id
    times[#times + 1], times[#times + 2] = time, id
  end
end
if #ids > 0 then
  call('HDEL', keys.cancelled, unpack(ids))
  call('ZADD', keys.published, unpack(times))
  call('LPUSH', keys.ids, unpack(ids))
  tell('retried', ids)
end
return remember({#ids, call('SCARD', keys.stalled)})
