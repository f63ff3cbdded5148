-- The keys of a job feed by name, in the order in which the scripts for jobs are given them.
local function job_keys(list)
  return {
    ids = list[2], items = list[3], reserved = list[4], published = list[5], claimed = list[6],
    stalled = list[7], cancelled = list[8], holders = list[9], tokens = list[10],
    finishes = list[11], results = list[12],
  }
end

-- Claims that have run out come back; then up to `count` jobs are claimed for `token`. Answers
-- {ms until a claim may run out or -1, ids, items, how often each was cancelled}.
local function claim(keys, claim_timeout, max_failures, count, token)
  local time, wake = now(), -1
  local timeout = (tonumber(claim_timeout or '') or 0) * 1000
  if timeout > 0 then
    expire(keys, time, timeout, 100, function(id)
      give_back(keys, id, tonumber(max_failures or '') or 0)
    end)
  end
  local taken, items = take(keys, token, count, time)
  local cancelled = {}
  if #taken > 0 then
    for index, times in ipairs(redis.call('HMGET', keys.cancelled, unpack(taken))) do
      cancelled[index] = tonumber(times or '0')
    end
  elseif timeout > 0 then
    wake = time_left(keys, time, timeout)
  end
  return {wake, taken, items, cancelled}
end
