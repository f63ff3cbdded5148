-- Periodic jobs. A schedule has a name and says what to put and when (`schedules`: name -> texts
-- NAME=VALUE, joined by NUL, `item=` the last), when it is due next (`runs`: name -> ms), and, where
-- that does not follow from `every`, when it is due after that (`runtimes`: name -> ms, ms ...).
--@ include clock
--@ include numbers
--@ include events

-- From so many ms on, jobs that are late have been missed: nobody has looked for long.
local MISSED = 60000

-- A value in the texts of a schedule, nil where there is none. `item` is all that comes behind it.
local function value_in(schedule, name)
  local place = string.find('\0' .. schedule, '\0' .. name .. '=', 1, true)
  if name == 'item' then
    return place and string.sub(schedule, place + 5)
  end
  -- An item may hold what looks like one.
  local item = string.find('\0' .. schedule, '\0item=', 1, true)
  if place and item and place > item then
    return nil
  end
  return place and string.match(schedule, '^%Z*', place + #name + 1)
end

-- Whether two schedules say the same. A peer may have written the texts in another order.
local function says_the_same(one, other)
  if one == other then
    return true
  end
  local absent = {missed = 'once', priority = 'normal'}
  for _, name in ipairs({'every', 'cron', 'tz', 'missed', 'priority', 'item'}) do
    if (value_in(one, name) or absent[name]) ~= (value_in(other, name) or absent[name]) then
      return false
    end
  end
  return true
end

-- ms between two jobs of a schedule; nil where it has none, or what makes no sense.
local function every_of(schedule)
  local every = tonumber(value_in(schedule, 'every') or '')
  return every and every >= 1 and every < 1e15 and every or nil
end

-- The times at which a schedule that was due at `due` puts jobs now, `most` of them at most, when it
-- is due next (nil: nobody has said), and the times after that, as text.
local function times_of(schedule, due, later, time, most)
  local every = every_of(schedule)
  local missed, times, last = due < time - MISSED, {}, nil
  if every and missed then
    -- Of many that were missed only the last one counts.
    due = due + math.floor((time - due) / every) * every
  end
  while due and due <= time and (missed or #times < most) do
    last = due
    if not missed then
      times[#times + 1] = due
    end
    if every then
      due = due + every
    else
      local following, rest = string.match(later, '^(%d+) ?(.*)$')
      due, later = tonumber(following), rest or ''
    end
  end
  if missed and value_in(schedule, 'missed') ~= 'skip' then
    times[1] = last
  end
  return times, due, later
end

-- Put the jobs of up to `limit` schedules that are due. The id of one is made of its schedule's name
-- and its time, so it is put once. Returns ms until the next schedule is due, nil where there is none.
local function bring_runs(time, limit)
  local next_one = call('ZRANGE', keys.runs, 0, 0, 'WITHSCORES')
  if next_one[2] and number_of(next_one[2]) <= time then
    local rows = call(
      'ZRANGEBYSCORE', keys.runs, '-inf', text_of(time), 'WITHSCORES', 'LIMIT', 0, limit)
    call('HLEN', keys.schedules)
    call('HLEN', keys.runtimes)
    call('HLEN', keys.items)
    call('ZCARD', keys.published)
    call('LLEN', keys.ids)
    for index = 1, #rows, 2 do
      local name, schedule = rows[index], call('HGET', keys.schedules, rows[index])
      local due = math.max(0, math.floor(number_of(rows[index + 1])))
      -- A removal comes first: after it a server that is full allows the rest.
      call('ZREM', keys.runs, name)
      if schedule then
        local later = call('HGET', keys.runtimes, name) or ''
        local times, following, rest = times_of(schedule, due, later, time, limit)
        local item = value_in(schedule, 'item') or ''
        local push = value_in(schedule, 'priority') == 'high' and 'RPUSH' or 'LPUSH'
        for _, at in ipairs(times) do
          local id = string.format('%s@%.0f', name, at)
          if call('HEXISTS', keys.items, id) == 0 then
            call('HSET', keys.items, id, item)
            redis.pcall('INCRBY', keys.publishes, 1) -- what is no number is left
            call('ZADD', keys.published, text_of(at), id)
            call(push, keys.ids, id)
            tell('put', {id})
          end
        end
        if following then
          call('ZADD', keys.runs, text_of(following), name)
        end
        if later ~= rest then
          call('HSET', keys.runtimes, name, rest)
        end
      else
        call('HDEL', keys.runtimes, name)
      end
    end
    next_one = call('ZRANGE', keys.runs, 0, 0, 'WITHSCORES')
  end
  return next_one[2] and math.max(0, math.floor(number_of(next_one[2])) - time)
end
