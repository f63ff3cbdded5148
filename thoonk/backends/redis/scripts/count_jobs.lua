-- Contract: job counts
--@ keys config ids reserved claimed stalled finishes
-- ARGV: none
-- Returns {waiting, claimed, stalled, finished}.
-- Notices: none.
--@ include feed
local refusal = refuse(call('HGET', keys.config, 'type'), 'job')
if refusal then
  return refusal
end
return {
  call('LLEN', keys.ids) + call('LLEN', keys.reserved),
  call('ZCARD', keys.claimed),
  call('SCARD', keys.stalled),
  count_in(call('GET', keys.finishes)),
}
