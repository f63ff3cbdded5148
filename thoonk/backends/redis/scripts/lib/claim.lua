-- Claims. A taker comes with a token of its own making. Of each claim there are the time it
-- was made (`claimed`: id -> ms) and its holder (`holders`: id -> token and that time); of
-- each token the ids it took (`tokens`: token -> ids, joined by NUL), so that a taker whose
-- answer was lost asks again and gets the same.

-- Whether the claim on `id` may be ended by whoever shows `token` ('' shows none: any holder).
-- A holder's entry counts only for the claim time it was written with: a peer that claimed
-- the job since then has left another time and no entry.
local function holds(keys, id, token)
  local since = redis.call('ZSCORE', keys.claimed, id)
  if not since then
    return false
  end
  if token == '' then
    return true
  end
  return redis.call('HGET', keys.holders, id) == token .. ' ' .. text_of(tonumber(since))
end

local function hold(keys, id, token, time)
  redis.call('ZADD', keys.claimed, text_of(time), id)
  redis.call('HSET', keys.holders, id, token .. ' ' .. text_of(time))
end

-- End the claim on `id`, whoever holds it.
local function let_go(keys, id)
  redis.call('ZREM', keys.claimed, id)
  local holder = redis.call('HGET', keys.holders, id)
  if holder then
    local token = string.match(holder, '^(.*) %S+$')
    redis.call('HDEL', keys.holders, id)
    local ids = redis.call('HGET', keys.tokens, token)
    if ids == id then
      redis.call('HDEL', keys.tokens, token)
    elseif ids then
      local others = {}
      for other in string.gmatch(ids .. '\0', '(.-)%z') do
        if other ~= id then
          others[#others + 1] = other
        end
      end
      redis.call('HSET', keys.tokens, token, table.concat(others, '\0'))
    end
  end
end

-- Give a claimed job back, or stall it when that has happened `max_failures` times.
-- Returns true when it was stalled.
local function give_back(keys, id, max_failures)
  let_go(keys, id)
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

-- Call `back(id)` for up to `limit` claims that are older than `timeout` ms.
local function expire(keys, time, timeout, limit, back)
  local old = redis.call(
    'ZRANGEBYSCORE', keys.claimed, '-inf', text_of(time - timeout), 'WITHSCORES', 'LIMIT', 0, limit)
  for index = 1, #old, 2 do
    local since = in_milliseconds(tonumber(old[index + 1]))
    if since > time - timeout then
      -- A peer's claim in seconds, still young: rewritten, so that it sorts by its time.
      redis.call('ZADD', keys.claimed, text_of(since), old[index])
    else
      back(old[index])
    end
  end
end

-- Up to `count` ids for `token` with their items: what it has already, else the next ones.
local function take(keys, token, count, time)
  local taken = {}
  local ids = redis.call('HGET', keys.tokens, token)
  if ids then
    for id in string.gmatch(ids .. '\0', '(.-)%z') do
      local item = redis.call('HGET', keys.items, id)
      if item and holds(keys, id, token) then
        taken[#taken + 1] = {id, item}
      end
    end
    return taken
  end
  local names = {}
  while #taken < count do
    -- First those that a waiting taker has reserved and perhaps died before it took them.
    local id = redis.call('RPOP', keys.reserved) or redis.call('RPOP', keys.ids)
    if not id then
      break
    end
    local item = redis.call('HGET', keys.items, id)
    -- An id without item was removed by a peer that left it in the list.
    if item then
      hold(keys, id, token, time)
      names[#names + 1] = id
      taken[#taken + 1] = {id, item}
    end
  end
  if #names > 0 then
    redis.call('HSET', keys.tokens, token, table.concat(names, '\0'))
  end
  return taken
end

-- Milliseconds until a claim may run out: one made a moment from now does after `timeout`,
-- the oldest perhaps sooner.
local function time_left(keys, time, timeout)
  local oldest = redis.call('ZRANGE', keys.claimed, 0, 0, 'WITHSCORES')
  if oldest[2] then
    local left = in_milliseconds(tonumber(oldest[2])) + timeout - time
    return math.ceil(math.min(timeout, math.max(0, left)))
  end
  return math.ceil(timeout)
end
