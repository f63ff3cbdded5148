-- The usual case of jobs, in few commands: one that waits is claimed, or one that is held is finished
-- without a result, and nothing else is to be seen to. Then no function is built and no right is asked
-- for that only other cases need. These go the long way, which does the same with one job.

-- Claim the job that is next, at a `time` as from TIME.
local function claim_one(id, token, time)
  -- ms as text: to format a number takes longer than a short command.
  local since = time[1] .. string.sub('00000' .. time[2], -6, -4)
  call('RPOP', keys.ids)
  call('ZADD', keys.claimed, since, id)
  call('HSET', keys.holders, id, token .. ' ' .. since)
  call('HSET', keys.tokens, token, id)
end

-- Finish a job. `has_failed`: whether it may have failed before. `has_info`: whether anything may be known
-- of it.
local function finish_one(id, token, has_failed, has_info)
  -- Refused here, before anything is written, where the key is of another type.
  call('ZREM', keys.published, id)
  call('ZREM', keys.claimed, id)
  call('HDEL', keys.holders, id)
  call('HDEL', keys.tokens, token)
  if has_failed then
    call('HDEL', keys.cancelled, id)
  end
  redis.pcall('INCRBY', keys.finishes, 1) -- what is no number is left
  call('HDEL', keys.items, id)
  if has_info then
    call('HDEL', keys.info, id)
  end
end
