-- Contract: job next
--@ keys config ids items reserved published claimed stalled cancelled holders tokens finishes
--@ keys results scheduled scheduleditems schedules runs runtimes publishes info paused result[]
-- ARGV: 1 how many to claim at most, 2 token for them, 3 recover_expired (1) or not (0), 4 finish
--       channel, 5 default of result_timeout in ms, 6 how many jobs are finished, then for each
--       of these five words, see lib/finish.lua, then for each that is cancelled id and token
-- Returns {ms until a claim may run out or -1, {id ...}, {item ...}, {times cancelled ...},
-- {id ...}}: the last are those that were to be ended and are not claimed (any more) under
-- their token, so that nothing was done with them. Done again it ends nothing more, tells
-- those that it has ended among them, and finds what was claimed by its token.
-- Notices: job.finish for each that was finished with a result.
--@ include feed
--@ include waiting
--@ include claim
--@ include job
--@ include finish
local config = call(
  'HMGET', keys.config, 'type', 'claim_timeout', 'max_failures', 'result_timeout', 'paused', 'events')
local refusal = refuse(config[1], 'job') or heed_events(config[6])
if refusal then
  return refusal
end
heed_pause(config[5])
-- Refused here, before anything is written, where a key is of another type.
call('LLEN', keys.ids)
call('HLEN', keys.items)
call('LLEN', keys.reserved)
call('ZCARD', keys.claimed)
call('HLEN', keys.cancelled)
call('SCARD', keys.stalled)
call('ZCARD', keys.published)
call('HLEN', keys.tokens)
call('ZCARD', keys.scheduled)
call('HLEN', keys.scheduleditems)
local last, lost = 6 + 5 * ARGV[6], {}
if last > 6 then
  local completions, indexes = completions_in(7, last), nil
  refusal, indexes = finish(completions, {
    channel = ARGV[4], configured = config[4], default = ARGV[5], together = false,
  })
  if refusal then
    return refusal
  end
  for _, index in ipairs(indexes) do
    lost[#lost + 1] = completions[index].id
  end
end
if last < #ARGV then
  local ids, held = {}, {}
  for index = last + 1, #ARGV, 2 do
    ids[#ids + 1] = ARGV[index]
  end
  local since, holders = claims_on(ids)
  for index, id in ipairs(ids) do
    -- One that is named twice is given back once.
    if not held[id] and is_owner(since[index], holders[index], ARGV[last + 2 * index]) then
      held[id] = true
      held[#held + 1] = id
    else
      lost[#lost + 1] = id
    end
  end
  requeue_or_stall(held, count_in(config[3]))
end
local answer = claim(config[2], config[3], tonumber(ARGV[1]), ARGV[2], ARGV[3] == '1')
answer[5] = lost
return answer
