-- Contract: job counts
-- KEYS: 1 config, 2 ids, 3 reserved, 4 claimed, 5 stalled, 6 finishes
-- ARGV: none
-- Returns {waiting, claimed, stalled, finished}.
-- Notices: none.
--@ include feed
local refusal = refuse(call('HGET', KEYS[1], 'type'), 'job')
if refusal then
  return refusal
end
return {
  call('LLEN', KEYS[2]) + call('LLEN', KEYS[3]),
  call('ZCARD', KEYS[4]),
  call('SCARD', KEYS[5]),
  count_in(call('GET', KEYS[6])),
}
