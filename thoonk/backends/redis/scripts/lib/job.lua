--@ include schedule
--@ include runs

-- The lesser of two numbers of which there may be none.
local function sooner(first, second)
  return first and second and math.min(first, second) or first or second
end

-- Claim up to `count` jobs for `token`. Claims that have expired come back before that, and jobs that
-- are due, with `recover_expired` or when nothing waits. Answers {ms until a claim may run out or a
-- job is due, or -1, ids, items, how often each was cancelled}.
local function claim(claim_timeout, max_failures, count, token, recover_expired)
  local time, wake = now(), -1
  local timeout = (seconds_in(claim_timeout) or 0) * 1000
  -- Refused here, before anything is written, where a key is of another type.
  call('HLEN', keys.cancelled)
  local taken, items, until_due = {}, {}, nil
  if not recover_expired then
    taken, items = take(token, count, time, false)
  end
  if #taken == 0 then
    call('ZCARD', keys.scheduled)
    call('ZCARD', keys.runs)
    call('HLEN', keys.schedules)
    call('HLEN', keys.runtimes)
    call('HLEN', keys.scheduleditems)
    call('ZCARD', keys.published)
    call('ZCARD', keys.claimed)
    call('HLEN', keys.holders)
    call('HLEN', keys.tokens)
    call('HLEN', keys.items)
    call('LLEN', keys.ids)
    call('LLEN', keys.reserved)
    if timeout > 0 then
      local old = {}
      expire(time, timeout, 100, function(id)
        old[#old + 1] = id
      end)
      requeue_or_stall(old, count_in(max_failures))
    end
    empty_inbox(1000)
    until_due = sooner(bring_due(time, 100), bring_runs(time, 100))
    taken, items = take(token, count, time, true)
  end
  if #taken > 0 and until_due then
    -- Who has waited for that time may be this consumer, which goes to work now.
    ring()
  end
  local cancelled = {}
  if #taken > 0 then
    for index, times in ipairs(call('HMGET', keys.cancelled, unpack(taken))) do
      cancelled[index] = count_in(times)
    end
  elseif not is_paused and (timeout > 0 or until_due) then
    wake = math.min(timeout > 0 and time_left(time, timeout) or until_due, until_due or math.huge)
  end
  return {wake, taken, items, cancelled}
end
