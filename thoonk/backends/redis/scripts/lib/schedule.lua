-- Scheduled jobs: of each there is the time when it is due (`scheduled`: id -> ms, a half more where
-- it will have high priority, and less than that so that jobs of one step keep their order) and its
-- item (`scheduleditems`). Before it is due its item is not among the others, where a peer would
-- find a job that is in no state.
--@ include clock
--@ include numbers
--@ include waiting
--@ include events

-- When a job is due that is asked for as `text`: ms from now behind a plus, else ms since 1970.
local function due_at(text)
  local delay = string.match(text, '^%+(.*)$')
  return delay and now() + tonumber(delay) or tonumber(text)
end

-- Wake one of the consumers that are blocked, so that it looks when the next job is due: with an empty
-- id, for every consumer passes over an id without item. Consumers are blocked only on an empty list.
local function ring()
  if not is_paused and call('LLEN', keys.ids) == 0 then
    call('RPUSH', keys.ids, '')
  end
end

-- Schedule the jobs `ids`; `items` and `dues` are theirs. A consumer that is blocked knows when the job
-- that came first was due: where one of these comes before that, it is woken.
local function schedule_jobs(ids, items, dues)
  local fields, times, is_new = {}, {}, {}
  for index, id in ipairs(ids) do
    fields[2 * index - 1], fields[2 * index] = id, items[index]
    times[2 * index - 1], times[2 * index] = text_of(dues[index]), id
    is_new[id] = true
  end
  call('HSET', keys.scheduleditems, unpack(fields))
  call('ZADD', keys.scheduled, unpack(times))
  for index, id in ipairs(ids) do
    tell('scheduled', {id}, text_of(math.floor(dues[index])))
  end
  if is_new[call('ZRANGE', keys.scheduled, 0, 0)[1]] then
    ring()
  end
end

-- Make scheduled jobs available. `dues` are the scores of `ids`.
local function make_available(ids, dues)
  local items = call('HMGET', keys.scheduleditems, unpack(ids))
  -- Refused here, before anything is written, where a key is of another type.
  call('ZCARD', keys.published)
  call('HLEN', keys.items)
  call('LLEN', keys.ids)
  -- Removals come first: after them a server that is full allows the rest.
  call('ZREM', keys.scheduled, unpack(ids))
  call('HDEL', keys.scheduleditems, unpack(ids))
  local fields, times, normal, high = {}, {}, {}, {}
  for index, id in ipairs(ids) do
    if items[index] then
      local list = dues[index] % 1 < 0.5 and normal or high
      list[#list + 1] = id
      fields[#fields + 1], fields[#fields + 2] = id, items[index]
      times[#times + 1], times[#times + 2] = text_of(math.floor(dues[index])), id
    end
  end
  if #fields > 0 then
    call('HSET', keys.items, unpack(fields))
    call('ZADD', keys.published, unpack(times))
  end
  tell('put', normal)
  tell('put', high)
  if #normal > 0 then
    call('LPUSH', keys.ids, unpack(normal))
  end
  if #high > 0 then
    call('RPUSH', keys.ids, unpack(high))
  end
end

-- Make up to `limit` jobs available whose time has come. Returns ms until the next one is due, 0
-- when it is already, nil where none is scheduled.
local function bring_due(time, limit)
  local next_one = call('ZRANGE', keys.scheduled, 0, 0, 'WITHSCORES')
  if next_one[2] and math.floor(number_of(next_one[2])) <= time then
    local rows = call('ZRANGEBYSCORE', keys.scheduled, '-inf', '(' .. text_of(time + 1),
      'WITHSCORES', 'LIMIT', 0, limit)
    local ids, dues = {}, {}
    for index = 1, #rows, 2 do
      ids[#ids + 1], dues[#dues + 1] = rows[index], number_of(rows[index + 1])
    end
    make_available(ids, dues)
    next_one = call('ZRANGE', keys.scheduled, 0, 0, 'WITHSCORES')
  end
  return next_one[2] and math.max(0, math.min(1e15, math.floor(number_of(next_one[2])) - time))
end
