-- Whether the claim on `id` may be ended by whoever shows `token` ('' shows none: any holder).
-- A holder's entry counts only for the claim time it was written with: a peer that claimed
-- the job since then has left another time and no entry.
local function holds(claimed, holders, id, token)
  local since = redis.call('ZSCORE', claimed, id)
  if not since then
    return false
  end
  if token == '' then
    return true
  end
  return redis.call('HGET', holders, id) == token .. ' ' .. text_of(tonumber(since))
end

local function hold(claimed, holders, id, token, time)
  redis.call('ZADD', claimed, text_of(time), id)
  redis.call('HSET', holders, id, token .. ' ' .. text_of(time))
end

-- Give a claimed job back, or stall it when that has happened `max_failures` times.
-- Returns true when it was stalled.
local function give_back(keys, id, max_failures)
  redis.call('ZREM', keys.claimed, id)
  redis.call('HDEL', keys.holders, id)
  local failures = redis.call('HINCRBY', keys.cancelled, id, 1)
  if max_failures > 0 and failures >= max_failures then
    redis.call('HDEL', keys.cancelled, id)
    redis.call('ZREM', keys.published, id)
    redis.call('SADD', keys.stalled, id)
    return true
  end
  redis.call('LPUSH', keys.ids, id)
  return false
end

-- Give back up to `limit` claims that are older than `timeout` ms.
local function expire(keys, time, timeout, max_failures, limit)
  local returned, stalled = {}, {}
  local old = redis.call(
    'ZRANGEBYSCORE', keys.claimed, '-inf', text_of(time - timeout), 'WITHSCORES', 'LIMIT', 0, limit)
  for index = 1, #old, 2 do
    local id, since = old[index], tonumber(old[index + 1])
    local since_ms = in_milliseconds(since)
    if since_ms > time - timeout then
      -- A peer's claim in seconds, still young: rewritten, so that it sorts by its time.
      redis.call('ZADD', keys.claimed, text_of(since_ms), id)
    elseif give_back(keys, id, max_failures) then
      stalled[#stalled + 1] = id
    else
      returned[#returned + 1] = id
    end
  end
  return returned, stalled
end
