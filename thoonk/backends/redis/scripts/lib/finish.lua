-- The jobs that ARGV[from] to ARGV[to] tell to finish, five words each: id, token, kind of
-- result ('' none, 'some', 'none' for the value None), result, ms to keep it ('' as configured,
-- 0 for ever). The keys of the results there are begin with KEYS[key]. Answers a list of {id,
-- kind, result, ms, key}, of whether each is claimed under its token, and of holders.
local function endings_of(keys, from, to, key)
  local endings, ids, held = {}, {}, {}
  for index = from, to, 5 do
    local at = #ids + 1
    ids[at] = ARGV[index]
    endings[at] = {ARGV[index], ARGV[index + 2], ARGV[index + 3], ARGV[index + 4], KEYS[key]}
    if ARGV[index + 2] ~= '' then
      key = key + 1
    end
  end
  if #ids == 0 then
    return endings, held, {}
  end
  local since, holders = claims_on(keys, ids)
  for index in ipairs(ids) do
    held[index] = holds(since[index], holders[index], ARGV[from + 5 * index - 4])
  end
  return endings, held, holders
end

-- Ms to keep results: as configured, or the default.
local function kept_for(configured, default)
  local seconds = tonumber(configured or '')
  return seconds and seconds * 1000 or tonumber(default)
end

-- Finish the jobs of `endings_of`, all of them claimed; `keep_for` is from `kept_for`.
local function finish(keys, endings, holders, keep_for, channel)
  local ids, notices = {}, {}
  for index, ending in ipairs(endings) do
    ids[index] = ending[1]
  end
  let_go(keys, ids, holders)
  redis.call('HDEL', keys.cancelled, unpack(ids))
  redis.call('ZREM', keys.published, unpack(ids))
  redis.call('INCRBY', keys.finishes, #ids)
  for _, ending in ipairs(endings) do
    local id, kind, result, key = ending[1], ending[2], ending[3], ending[5]
    if kind ~= '' then
      local query = redis.call('HGET', keys.items, id) or ''
      redis.call('DEL', key)
      -- A peer's BRPOP gets the result. Three elements tell what it left from a peer's own.
      redis.call('RPUSH', key, kind, query, result)
      -- A peer may have configured more than the server can count.
      local keep = math.min(tonumber(ending[4]) or keep_for, 1e14)
      if keep > 0 then
        redis.call('PEXPIRE', key, string.format('%.0f', math.max(1, keep)))
        redis.call('ZADD', keys.results, text_of(now() + keep), id)
      else
        redis.call('ZADD', keys.results, '+inf', id)
      end
      notices[#notices + 1] = id .. '\0' .. result
    end
  end
  redis.call('HDEL', keys.items, unpack(ids))
  if #notices > 0 then
    -- The index of results keeps no entry longer than the result.
    redis.call('ZREMRANGEBYSCORE', keys.results, '-inf', text_of(now() - 1))
  end
  for _, notice in ipairs(notices) do
    redis.call('PUBLISH', channel, notice)
  end
end
