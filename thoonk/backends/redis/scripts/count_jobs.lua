-- Contract: job counts
--@ keys config ids reserved claimed stalled finishes scheduled paused
-- ARGV: none
-- Returns {waiting, claimed, stalled, finished, scheduled}.
-- Notices: none.
--@ include feed
--@ include schedule
local config = call('HMGET', keys.config, 'type', 'paused')
local refusal = refuse(config[1], 'job')
if refusal then
  return refusal
end
heed_pause(config[2])
return {
  call('LLEN', keys.ids) + call('LLEN', keys.reserved) - bells(),
  call('ZCARD', keys.claimed) - (call('ZSCORE', keys.claimed, '') and 1 or 0),
  call('SCARD', keys.stalled),
  count_in(call('GET', keys.finishes)),
  call('ZCARD', keys.scheduled),
}
