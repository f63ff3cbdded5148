-- Finish the jobs that ARGV[from] to ARGV[to] tell, five words each: id, token, kind of result
-- ('' none, 'some', 'none' for the value None), result, ms to keep it ('' as configured in
-- seconds or by default, 0 for ever). The first result is for `keys.result[key]`.
-- Answers the indexes, from 1, of those that are not claimed under their token: with nothing
-- of them is anything done, and with `together` then nothing is done at all. Answers nil and
-- an error reply when there is a result and the user may not publish it.
--@ include notify
local function finish(from, to, key, configured, default, channel, together)
  local ids = {}
  for at = from, to, 5 do
    ids[#ids + 1] = ARGV[at]
  end
  local since, holders = claims_on(ids)
  local lost, is_lost = {}, {}
  for index in ipairs(ids) do
    if not is_owner(since[index], holders[index], ARGV[from + 5 * index - 4]) then
      lost[#lost + 1], is_lost[index] = index, true
    end
  end
  if #lost == #ids or (#lost > 0 and together) then
    return lost
  end
  for at = from, to, 5 do
    if ARGV[at + 2] ~= '' then
      local refusal = muted(channel)
      if refusal then
        return nil, refusal
      end
      break
    end
  end
  if #lost > 0 then
    local all, holders_of_all = ids, holders
    ids, holders = {}, {}
    for index, id in ipairs(all) do
      if not is_lost[index] then
        ids[#ids + 1], holders[#holders + 1] = id, holders_of_all[index]
      end
    end
  end
  -- Refused here, before anything is written, where a key is of another type.
  call('HLEN', keys.cancelled)
  call('ZCARD', keys.published)
  call('HLEN', keys.items)
  call('ZCARD', keys.results)
  end_claims(ids, holders)
  call('HDEL', keys.cancelled, unpack(ids))
  call('ZREM', keys.published, unpack(ids))
  redis.pcall('INCRBY', keys.finishes, #ids) -- what is no number is left
  local seconds, notices = seconds_in(configured), {}
  for at = from, to, 5 do
    local id, kind, result = ARGV[at], ARGV[at + 2], ARGV[at + 3]
    if kind ~= '' then
      if not is_lost[(at - from) / 5 + 1] then
        local query = call('HGET', keys.items, id) or ''
        call('DEL', keys.result[key])
        -- A peer's BRPOP gets the result. Three elements tell what it left from a peer's own.
        call('RPUSH', keys.result[key], kind, query, result)
        local keep = tonumber(ARGV[at + 4]) or seconds and seconds * 1000 or tonumber(default)
        if keep > 0 then
          -- A peer may have configured more than the server can count.
          keep = math.max(1, math.min(keep, 1e14))
          call('PEXPIRE', keys.result[key], string.format('%.0f', keep))
          call('ZADD', keys.results, text_of(now() + keep), id)
        else
          call('ZADD', keys.results, '+inf', id)
        end
        notices[#notices + 1] = id .. '\0' .. result
      end
      key = key + 1
    end
  end
  call('HDEL', keys.items, unpack(ids))
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
  return lost
end
