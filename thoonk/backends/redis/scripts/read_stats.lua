-- Contract: stats
-- KEYS: 1 config, 2 ids, 3 items, 4 publishes, 5 reserved, 6 published, 7 claimed, 8 stalled,
--       9 cancelled, 10 finishes
-- ARGV: 1 the feed's kind, or '' for the one that its type means
-- Returns {type, items, publishes, waiting, claimed, stalled, failing, finished, and the ages in
-- ms of the oldest waiting, the oldest claim, the oldest item, the newest item}; -1 stands for
-- what there is not, or what the feed's kind does not have.
-- Notices: none.
--@ include feed
--@ include clock
local type_name = call('HGET', KEYS[1], 'type')
local refusal = refuse(type_name, ARGV[1] ~= '' and ARGV[1] or kind_of(type_name))
if refusal then
  return refusal
end
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
      if not others or not call('ZSCORE', others, rows[index]) then
        local since = in_milliseconds(number_of(rows[index + 1]))
        found = math.min(found or since, since)
        break
      end
    end
  end
  return found
end

local stats = {
  type_name,
  call('HLEN', KEYS[3]),
  count_in(call('GET', KEYS[4])),
  -1, -1, -1, -1, -1, -1, -1, -1, -1,
}
if kind == 'feed' then
  local newest = call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')[2]
  stats[11] = age(earliest(KEYS[2], nil, 1))
  stats[12] = age(newest and in_milliseconds(number_of(newest)))
elseif kind == 'queue' or kind == 'job' then
  stats[4] = call('LLEN', KEYS[2]) + call('LLEN', KEYS[5])
  stats[5] = call('ZCARD', KEYS[7])
  stats[10] = age(earliest(KEYS[7], nil, 1))
end
if kind == 'job' then
  stats[6] = call('SCARD', KEYS[8])
  stats[7] = call('HLEN', KEYS[9])
  stats[8] = count_in(call('GET', KEYS[10]))
  if stats[4] > 0 then
    -- One more than are claimed has one that waits among it. Where very many are, what is
    -- next must do.
    local since = earliest(KEYS[6], KEYS[7], math.min(stats[5] + 1, 1000))
    if not since then
      local next_one = call('LRANGE', KEYS[5], -1, -1)[1]
        or call('LRANGE', KEYS[2], -1, -1)[1]
      local put = call('ZSCORE', KEYS[6], next_one)
      since = put and in_milliseconds(number_of(put))
    end
    stats[9] = age(since)
  end
end
return stats
