-- Let time go by for one feed: whatever time is recorded of it is set back, which looks the
-- same as a clock that has gone on.
-- KEYS: feed.claimed:F, feed.holders:F, feed.published:F, feed.results:F, feed.scheduled:F,
-- feed.unique:F, feed.info:F, feed.runs:F, feed.runtimes:F, feed.running:F, and the keys of the
-- stored results (feed.jobfinished:F NUL ID). ARGV: by how many ms; '' or the only id whose claim is meant, and
-- nothing else then. Returns how many claims are older now.
local claimed, holders, published, results = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local scheduled, unique, info, runs, runtimes = KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local running = KEYS[10]
local by, only = tonumber(ARGV[1]), ARGV[2]

local function earlier(time)
  -- Some peers write seconds.
  return string.format('%.17g', time < 1e11 and time - by / 1000 or time - by)
end

local function set_back(key, below)
  local found = redis.call('ZRANGEBYSCORE', key, '-inf', below, 'WITHSCORES')
  for index = 1, #found, 2 do
    redis.call('ZADD', key, earlier(tonumber(found[index + 1])), found[index])
  end
end

local changed = 0
local claims = redis.call('ZRANGE', claimed, 0, -1, 'WITHSCORES')
for index = 1, #claims, 2 do
  local id, since = claims[index], tonumber(claims[index + 1])
  if only == '' or id == only then
    changed = changed + 1
    redis.call('ZADD', claimed, earlier(since), id)
    local token, of_holder = string.match(redis.call('HGET', holders, id) or '', '^(.*) (%S+)$')
    -- Only the entry that belongs to this claim goes with it.
    if token and tonumber(of_holder) == since then
      local member = token .. ' ' .. id
      local first = redis.call('ZSCORE', running, member)
      if first then
        redis.call('ZADD', running, earlier(tonumber(first)), member)
      end
      redis.call('HSET', holders, id, token .. ' ' .. earlier(since))
    end
  end
end
if only == '' then
  set_back(published, '+inf')
  set_back(results, '(+inf')
  set_back(scheduled, '(+inf')
  set_back(unique, '(+inf')
  local known = redis.call('HGETALL', info)
  for index = 1, #known, 2 do
    local texts = {}
    for text in string.gmatch(known[index + 1], '%Z+') do
      local name, time = string.match(text, '^(%l+)=(%d+)$')
      local is_time = name == 'put' or name == 'due' or name == 'failed' or name == 'stalled'
        or name == 'progressed'
      texts[#texts + 1] = is_time and name .. '=' .. earlier(tonumber(time)) or text
    end
    redis.call('HSET', info, known[index], table.concat(texts, '\0'))
  end
  -- The id of a periodic job has its time in it. A ms more for each time that the clock is turned:
  -- else a time that was moved back could be that of an earlier job.
  by = by + 1
  set_back(runs, '(+inf')
  local later = redis.call('HGETALL', runtimes)
  for index = 1, #later, 2 do
    local times = string.gsub(later[index + 1], '%d+', function(time)
      return earlier(tonumber(time))
    end)
    redis.call('HSET', runtimes, later[index], times)
  end
  by = by - 1
  for index = 11, #KEYS do
    local left = redis.call('PTTL', KEYS[index])
    if left >= 0 then
      redis.call('PEXPIRE', KEYS[index], math.max(left - by, 0))
    end
  end
end
return changed
