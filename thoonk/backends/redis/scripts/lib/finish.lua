--@ include notify

-- For how long results are kept where nothing else is configured, in ms.
local ONE_DAY = 86400000

-- The completions in ARGV[from] and what follows, `count` at most, and the place behind them. Three words
-- each: id, token, kind of result ('' none, 'some', 'none' for the value None); with a result, two more:
-- the result, ms to keep it ('' as configured, 0 for ever).
local function completions_in(from, count)
  local completions, results = {}, 0
  while ARGV[from] and #completions < count do
    local completion = {id = ARGV[from], token = ARGV[from + 1], kind = ARGV[from + 2]}
    from = from + 3
    if completion.kind ~= '' then
      results = results + 1
      completion.key = keys.result[results]
      completion.result, completion.keep = ARGV[from], tonumber(ARGV[from + 1])
      from = from + 2
    end
    completions[#completions + 1] = completion
  end
  return completions, from
end

-- Finish the jobs of `completions`, all `together` or not at all. Results are kept as `configured` (text
-- in seconds, false for none).
-- Returns an error reply when there is a result and the user may not publish it; else nil and the
-- indexes, from 1, of the jobs that are not claimed under their token: nothing is done with these.
local function finish(completions, configured, together)
  local all = {}
  for index, completion in ipairs(completions) do
    all[index] = completion.id
  end
  local since, all_holders = claims_on(all)
  local ids, holders, done, lost, has_result = {}, {}, {}, {}, false
  for index, completion in ipairs(completions) do
    has_result = has_result or completion.key
    if is_owner(since[index], all_holders[index], completion.token) then
      ids[#ids + 1], holders[#holders + 1] = completion.id, all_holders[index]
      done[#done + 1] = completion
    else
      lost[#lost + 1] = index
    end
  end
  if #ids == 0 or (#lost > 0 and together) then
    return nil, lost
  end
  local channel = 'job.finish:' .. string.sub(keys.config, #'feed.config:' + 1)
  local refusal = has_result and muted(channel)
  if refusal then
    return refusal
  end
  -- Refused here, before anything is written, where a key is of another type.
  call('HLEN', keys.cancelled)
  call('ZCARD', keys.published)
  call('HLEN', keys.items)
  local infos = call('HLEN', keys.info)
  call('ZCARD', keys.results)
  end_claims(ids, holders)
  call('HDEL', keys.cancelled, unpack(ids))
  call('ZREM', keys.published, unpack(ids))
  redis.pcall('INCRBY', keys.finishes, #ids) -- what is no number is left
  local seconds, notices = seconds_in(configured), {}
  for _, completion in ipairs(done) do
    local id, key = completion.id, completion.key
    if key then
      local query = call('HGET', keys.items, id) or ''
      call('DEL', key)
      -- A peer's BRPOP gets the result. Three elements tell what it left from a peer's own.
      call('RPUSH', key, completion.kind, query, completion.result)
      local keep = completion.keep or seconds and seconds * 1000 or ONE_DAY
      if keep > 0 then
        -- A peer may have configured more than the server can count.
        keep = math.max(1, math.min(keep, 1e14))
        call('PEXPIRE', key, string.format('%.0f', keep))
        call('ZADD', keys.results, text_of(now() + keep), id)
      else
        call('ZADD', keys.results, '+inf', id)
      end
      notices[#notices + 1] = id .. '\0' .. completion.result
    end
  end
  call('HDEL', keys.items, unpack(ids))
  if events then
    for _, completion in ipairs(done) do
      if not completion.key then
        tell('finished', {completion.id})
      end
    end
  end
  if infos > 0 then
    call('HDEL', keys.info, unpack(ids))
  end
  if #notices > 0 then
    -- The index of results keeps no entry long after the result. More go than come.
    local past = call(
      'ZRANGEBYSCORE', keys.results, '-inf', text_of(now() - 1), 'LIMIT', 0, 1000 + #notices)
    if #past > 0 then
      call('ZREM', keys.results, unpack(past))
    end
  end
  for _, notice in ipairs(notices) do
    call('PUBLISH', channel, notice)
  end
  return nil, lost
end
