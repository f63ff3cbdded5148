-- Contract: job finish
--@ keys config items published claimed cancelled holders tokens finishes info results result[]
-- ARGV: the words of each job, see lib/finish.lua; last session and call
-- Returns the count of jobs. One that is not claimed is an error, and nothing is done.
-- Notices: job.finish for each with a result.
--@ include once
--@ include one
if answered then
  return answered
end
local usual = call('HMGET', keys.config, 'type', 'events')
if #ARGV == 3 and ARGV[3] == '' and usual[1] == 'job' and usual[2] ~= '1' then
  local id, token = ARGV[1], ARGV[2]
  local since = call('ZSCORE', keys.claimed, id)
  if since and call('HGET', keys.tokens, token) == id
      and call('HGET', keys.holders, id) == token .. ' ' .. since then
    -- Refused here, before anything is written, where a key is of another type.
    call('HLEN', keys.items)
    local failures, infos = call('HLEN', keys.cancelled), call('HLEN', keys.info)
    --@ ask finish_one remember
    finish_one(id, token, failures > 0, infos > 0)
    return remember(1)
  end
end
--@ ask rest
--@ include feed
--@ include claim
--@ include finish
local refusal = refuse(usual[1], 'job') or heed_events(usual[2])
if refusal then
  return refusal
end
local completions, lost = completions_in(1, #ARGV), nil
refusal, lost = finish(completions, call('HGET', keys.config, 'result_timeout'), true)
if refusal then
  return refusal
end
if lost[1] then
  return redis.error_reply('NOTCLAIMED ' .. lost[1])
end
return remember(#completions)
