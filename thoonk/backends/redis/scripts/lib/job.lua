-- The keys of a job feed by name, in the order in which the scripts for jobs are given them.
local function job_keys(list)
  return {
    ids = list[2], items = list[3], reserved = list[4], published = list[5], claimed = list[6],
    stalled = list[7], cancelled = list[8], holders = list[9], tokens = list[10],
    finishes = list[11], results = list[12],
  }
end

-- Up to `count` jobs are claimed for `token`; before that, when the take is `recover_expired` or
-- nothing waits, claims that have run out come back. Answers {ms until a claim may run out or
-- -1, ids, items, how often each was cancelled}.
local function claim(keys, claim_timeout, max_failures, count, token, recover_expired)
  local time, wake = now(), -1
  local timeout = (seconds_in(claim_timeout) or 0) * 1000
  -- Refused here, before anything is written, where a key is of another type.
  call('HLEN', keys.cancelled)
  local taken, items = {}, {}
  if not recover_expired then
    taken, items = take(keys, token, count, time, false)
  end
  if #taken == 0 and (recover_expired or timeout > 0) then
    if timeout > 0 then
      call('HLEN', keys.items)
      call('LLEN', keys.reserved)
      local old = {}
      expire(keys, time, timeout, 100, function(id)
        old[#old + 1] = id
      end)
      requeue_or_stall(keys, old, count_in(max_failures))
    end
    taken, items = take(keys, token, count, time, true)
  end
  local cancelled = {}
  if #taken > 0 then
    for index, times in ipairs(call('HMGET', keys.cancelled, unpack(taken))) do
      cancelled[index] = count_in(times)
    end
  elseif timeout > 0 then
    wake = time_left(keys, time, timeout)
  end
  return {wake, taken, items, cancelled}
end
