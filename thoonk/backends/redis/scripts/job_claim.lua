-- Contract: job get
--@ keys config ids items reserved published claimed stalled cancelled holders tokens
--@ keys scheduled scheduleditems schedules runs runtimes publishes paused
-- ARGV: 1 how many at most, 2 token, 3 recover_expired (1) or not (0)
-- Returns, in the usual case, id and item of one job, joined by a NUL; else {ms until a claim may run
-- out or a job is due, or -1, {id ...}, {item ...}, {times cancelled ...}}.
-- With a token that has claimed before: the same again.
-- Notices: none.
--@ include one
local usual = call('HMGET', keys.config, 'type', 'paused', 'events')
if ARGV[1] == '1' and ARGV[3] == '0'
    and usual[1] == 'job' and usual[2] ~= '1' and usual[3] ~= '1' then
  local id = call('LINDEX', keys.ids, -1)
  local item = id and call('HGET', keys.items, id)
  if item and id ~= '' and not string.find(id, '\0', 1, true) and not call('ZSCORE', keys.claimed, id)
      and not call('HGET', keys.tokens, ARGV[2]) and not call('HGET', keys.cancelled, id) then
    -- Refused here, before anything is written, where a key is of another type.
    call('HLEN', keys.holders)
    local time = call('TIME')
    --@ ask claim_one
    claim_one(id, ARGV[2], time)
    return id .. '\0' .. item
  end
end
--@ ask rest
--@ include feed
--@ include waiting
--@ include claim
--@ include job
local refusal = refuse(usual[1], 'job') or heed_events(usual[3])
if refusal then
  return refusal
end
heed_pause(usual[2])
local config = call('HMGET', keys.config, 'claim_timeout', 'max_failures')
return claim(config[1], config[2], tonumber(ARGV[1]), ARGV[2], ARGV[3] == '1')
