-- Contract: stats
--@ keys config ids items publishes reserved published claimed stalled cancelled finishes
--@ keys scheduled runs paused holders running
-- ARGV: 1 the feed's kind, or '' for the one that its type means
-- Returns {type, items, publishes, waiting, claimed, stalled, failing, finished, and the ages in
-- ms of the oldest waiting, the oldest claim, the oldest item, the newest item, how many are
-- scheduled, ms until the next of these is due, 1 when it is paused}; -1 stands for what there is
-- not, or what the feed's kind does not have.
-- Notices: none.
--@ include feed
--@ include schedule
--@ include running
local config = call('HMGET', keys.config, 'type', 'paused')
local type_name = config[1]
local refusal = refuse(type_name, ARGV[1] ~= '' and ARGV[1] or kind_of(type_name))
if refusal then
  return refusal
end
heed_pause(config[2])
local kind = kind_of(type_name) or ARGV[1]
local time = now()

local function age(since)
  -- A peer may have left any number as a time.
  return since and math.floor(math.max(0, math.min(time, time - since))) or -1
end

-- The earliest time in a sorted set, passing over the members that are in the set `others`;
-- of each unit of time up to `limit` members are looked at.
local function earliest(key, others, limit)
  local found
  -- A peer's seconds sort before all milliseconds, whatever they stand for.
  for _, range in ipairs({{'-inf', '(100000000000'}, {'100000000000', '+inf'}}) do
    local rows = call(
      'ZRANGEBYSCORE', key, range[1], range[2], 'WITHSCORES', 'LIMIT', 0, limit)
    for index = 1, #rows, 2 do
      if rows[index] ~= '' and not (others and call('ZSCORE', others, rows[index])) then
        local since = in_milliseconds(number_of(rows[index + 1]))
        found = math.min(found or since, since)
        break
      end
    end
  end
  return found
end

-- The earliest time of a claim, be it extended. Claims that were come first in `running`, where
-- little is left over.
local function earliest_claim()
  local found = earliest(keys.claimed, nil, 2)
  local live = sorted_out(call('ZRANGE', keys.running, 0, 99))
  if found and live[1] then
    found = math.min(found, number_of(call('ZSCORE', keys.running, live[1])))
  end
  return found
end

local stats = {
  type_name,
  call('HLEN', keys.items),
  count_in(call('GET', keys.publishes)),
  -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
}
if kind == 'feed' then
  local newest = call('ZRANGE', keys.ids, -1, -1, 'WITHSCORES')[2]
  stats[11] = age(earliest(keys.ids, nil, 1))
  stats[12] = age(newest and in_milliseconds(number_of(newest)))
elseif kind == 'queue' or kind == 'job' then
  stats[4] = call('LLEN', keys.ids) + call('LLEN', keys.reserved)
  -- A peer that was woken by an empty id may have claimed it.
  stats[5] = call('ZCARD', keys.claimed) - (call('ZSCORE', keys.claimed, '') and 1 or 0)
  stats[10] = age(kind == 'job' and earliest_claim() or earliest(keys.claimed, nil, 2))
  stats[15] = is_paused and 1 or 0
end
if kind == 'job' then
  stats[6] = call('SCARD', keys.stalled)
  stats[7] = call('HLEN', keys.cancelled)
  stats[8] = count_in(call('GET', keys.finishes))
  stats[4] = stats[4] - bells()
  stats[13] = call('ZCARD', keys.scheduled)
  local due = math.huge
  for _, key in ipairs({keys.scheduled, keys.runs}) do
    due = math.min(due, number_of(call('ZRANGE', key, 0, 0, 'WITHSCORES')[2] or 'inf'))
  end
  stats[14] = due < math.huge and math.max(0, math.min(1e15, math.floor(due) - time)) or -1
  if stats[4] > 0 then
    -- One more than are claimed has one that waits among it. Where very many are, what is
    -- next must do.
    local since = earliest(keys.published, keys.claimed, math.min(stats[5] + 1, 1000))
    if not since then
      local next_one = call('LRANGE', keys.reserved, -1, -1)[1]
        or call('LRANGE', keys.ids, -1, -1)[1]
      local put = call('ZSCORE', keys.published, next_one)
      since = put and in_milliseconds(number_of(put))
    end
    stats[9] = age(since)
  end
end
return stats
