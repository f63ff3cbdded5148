-- Contract: job next
--@ keys config ids items reserved published claimed stalled cancelled holders tokens finishes
--@ keys results scheduled scheduleditems schedules runs runtimes publishes info paused result[]
-- ARGV: 1 how many to claim at most, 2 token for them, 3 recover_expired (1) or not (0), 4 how many
--       jobs are finished, then the words of each, see lib/finish.lua, then for each that is
--       cancelled id and token
-- Returns, in the usual case, id and item of one job, joined by a NUL; else {ms until a claim may run
-- out or -1, {id ...}, {item ...}, {times cancelled ...}, {id ...}}: the last are those that were to be ended and are not claimed (any more) under
-- their token, so that nothing was done with them. Done again it ends nothing more, tells
-- those that it has ended among them, and finds what was claimed by its token.
-- Notices: job.finish for each that was finished with a result.
--@ include one
local usual = call('HMGET', keys.config, 'type', 'paused', 'events')
if ARGV[1] == '1' and ARGV[3] == '0' and ARGV[4] == '1' and #ARGV == 7 and ARGV[7] == ''
    and usual[1] == 'job' and usual[2] ~= '1' and usual[3] ~= '1' then
  local token, done, old = ARGV[2], ARGV[5], ARGV[6]
  local id = call('LINDEX', keys.ids, -1)
  local item = id and call('HGET', keys.items, id)
  if item and id ~= '' and not string.find(id, '\0', 1, true) then
    -- In pairs: of the job that is done and of the next one.
    local since = call('ZMSCORE', keys.claimed, done, id)
    local taken = call('HMGET', keys.tokens, old, token)
    local failures = call('HMGET', keys.cancelled, done, id)
    if since[1] and taken[1] == done and call('HGET', keys.holders, done) == old .. ' ' .. since[1]
        and not (since[2] or taken[2] or failures[2]) then
      local infos, time = call('HLEN', keys.info), call('TIME')
      --@ ask finish_one claim_one
      finish_one(done, old, failures[1], infos > 0)
      claim_one(id, token, time)
      return id .. '\0' .. item
    end
  end
end
--@ ask rest
--@ include feed
--@ include waiting
--@ include claim
--@ include job
--@ include finish
local refusal = refuse(usual[1], 'job') or heed_events(usual[3])
if refusal then
  return refusal
end
heed_pause(usual[2])
local config = call('HMGET', keys.config, 'claim_timeout', 'max_failures', 'result_timeout')
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
local completions, last = completions_in(5, tonumber(ARGV[4]))
local lost = {}
if #completions > 0 then
  local indexes
  refusal, indexes = finish(completions, config[3], false)
  if refusal then
    return refusal
  end
  for _, index in ipairs(indexes) do
    lost[#lost + 1] = completions[index].id
  end
end
if last < #ARGV then
  local ids, held = {}, {}
  for index = last, #ARGV, 2 do
    ids[#ids + 1] = ARGV[index]
  end
  local since, holders = claims_on(ids)
  for index, id in ipairs(ids) do
    -- One that is named twice is given back once.
    if not held[id] and is_owner(since[index], holders[index], ARGV[last + 2 * index - 1]) then
      held[id] = true
      held[#held + 1] = id
    else
      lost[#lost + 1] = id
    end
  end
  requeue_or_stall(held, count_in(config[2]))
end
local answer = claim(config[1], config[2], tonumber(ARGV[1]), ARGV[2], ARGV[3] == '1')
answer[5] = lost
return answer
