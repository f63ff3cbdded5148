-- Claim up to `count` jobs for `token`. Claims that have expired come back before that, with
-- `recover_expired` or when nothing waits. Answers {ms until a claim may run out or
-- -1, ids, items, how often each was cancelled}.
local function claim(claim_timeout, max_failures, count, token, recover_expired)
  local time, wake = now(), -1
  local timeout = (seconds_in(claim_timeout) or 0) * 1000
  -- Refused here, before anything is written, where a key is of another type.
  call('HLEN', keys.cancelled)
  local taken, items = {}, {}
  if not recover_expired then
    taken, items = take(token, count, time, false)
  end
  if #taken == 0 and (recover_expired or timeout > 0) then
    if timeout > 0 then
      call('HLEN', keys.items)
      call('LLEN', keys.reserved)
      local old = {}
      expire(time, timeout, 100, function(id)
        old[#old + 1] = id
      end)
      requeue_or_stall(old, count_in(max_failures))
    end
    taken, items = take(token, count, time, true)
  end
  local cancelled = {}
  if #taken > 0 then
    for index, times in ipairs(call('HMGET', keys.cancelled, unpack(taken))) do
      cancelled[index] = count_in(times)
    end
  elseif timeout > 0 then
    wake = time_left(time, timeout)
  end
  return {wake, taken, items, cancelled}
end
