-- Every operation of contract.txt that writes, as one atomic step.
-- KEYS: the feed's keys, in the order of the names below; then keys of results.
-- ARGV: the feed's name, the operation, session and call ('' and '' for none), then its own.

local config, ids, items, publishes, idincr, published, claimed, stalled, cancelled, finishes,
  reserved, holders, tokens, results, answers, scheduled, scheduled_items, unique, info,
  paused, schedules, runs, run_times, running = unpack(KEYS)
local FIRST_RESULT = 25
local F = table.remove(ARGV, 1)
local name = table.remove(ARGV, 1)
local session = table.remove(ARGV, 1)
local number = tonumber(table.remove(ARGV, 1))

local call = redis.call

-- A server takes the first of several words for the code of an error.
local function refuse(code)
  error(code .. ' refused', 0)
end

local function say(channel, ...)
  call('PUBLISH', channel .. ':' .. F, table.concat({...}, '\0'))
end

-- --- time ------------------------------------------------------------------------------------

-- The score that comes next in a feed.
local function after(last)
  local step = 1 / 1024
  while last + step == last do
    step = step * 2
  end
  return last + step
end

local function now()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function text(time)
  return string.format('%.17g', time)
end

local function milliseconds(score)
  score = tonumber(score)
  return score < 1e11 and score * 1000 or score
end

-- --- configuration -----------------------------------------------------------------------------

local SHAPES = {
  feed = 'feed', sorted_feed = 'sorted', list = 'sorted', ['sorted feed'] = 'sorted',
  queue = 'queue', pyqueue = 'queue', job = 'job',
}

local function must_be(shape, other)
  local kind = call('HGET', config, 'type')
  if not kind then
    refuse('NOFEED')
  end
  local found = SHAPES[kind]
  if found and found ~= shape and found ~= other then
    refuse('WRONGTYPE')
  end
end

-- A number, 0 where there is none that makes sense.
local function setting(field)
  local text = string.match(call('HGET', config, field) or '', '^[%d.]+$')
  return tonumber(text or '') or 0
end

-- A counter, 0 where there is none.
local function counted(text)
  return tonumber(string.match(text or '', '^%d+$') or '') or 0
end

-- What happens to jobs, where the feed wants that told.
local has_events
local function tell(...)
  if has_events == nil then
    local fields = call('HMGET', config, 'type', 'events')
    has_events = fields[2] == '1' and SHAPES[fields[1] or ''] == 'job'
  end
  if has_events then
    say('job.event', ...)
  end
end

local function must_fit(item)
  local limit = setting('max_item_size')
  if limit > 0 and #item > limit then
    refuse('TOOLARGE')
  end
end

-- --- pauses ----------------------------------------------------------------------------------

-- The list at which consumers block. While the feed is paused `ids` is another one.
local inbox, is_paused = ids, false
do
  local fields = call('HMGET', config, 'type', 'paused')
  local shape = SHAPES[fields[1] or '']
  is_paused = fields[2] == '1' and shape ~= 'feed' and shape ~= 'sorted'
  ids = is_paused and paused or ids
end

-- What older peers have put or given back meanwhile.
local function bring_along()
  for _, list in ipairs({reserved, inbox}) do
    local id = call('RPOP', list)
    while id do
      call('LPUSH', paused, id)
      id = call('RPOP', list)
    end
  end
end

-- --- scheduled jobs ----------------------------------------------------------------------------

local function ring()
  if not is_paused and call('LLEN', ids) == 0 then
    call('RPUSH', ids, '')
  end
end

-- When the next one is due, as a number, and its id.
local function next_scheduled()
  local first = call('ZRANGE', scheduled, 0, 0, 'WITHSCORES')
  return tonumber(first[2] or ''), first[1]
end

-- When that or the next job of a schedule is due, in whole ms.
local function next_due()
  local first = call('ZRANGE', runs, 0, 0, 'WITHSCORES')
  local due = math.min(next_scheduled() or math.huge, tonumber(first[2] or '') or math.huge)
  return due < math.huge and math.floor(due) or nil
end

-- Several have one time, and stay in their order.
local function schedule(jobs, due)
  local is_new = {}
  for index, job in ipairs(jobs) do
    call('HSET', scheduled_items, job.id, job.item)
    call('ZADD', scheduled, text(due + (index - 1) / 4096), job.id)
    is_new[job.id] = true
    tell('scheduled', job.id, text(math.floor(due)))
  end
  local _, first = next_scheduled()
  if is_new[first] then
    ring()
  end
end

local function make_available(id, due)
  local item = call('HGET', scheduled_items, id)
  call('ZREM', scheduled, id)
  call('HDEL', scheduled_items, id)
  call('HSET', items, id, item)
  call('ZADD', published, text(math.floor(due)), id)
  call(due % 1 < 0.5 and 'LPUSH' or 'RPUSH', ids, id)
  tell('put', id)
end

local function bring_due()
  local rows = call('ZRANGEBYSCORE', scheduled, '-inf', '(' .. text(now() + 1), 'WITHSCORES')
  for index = 1, #rows, 2 do
    make_available(rows[index], tonumber(rows[index + 1]))
  end
end

-- --- periodic jobs -----------------------------------------------------------------------------

local MISSED = 60000

local function schedule_of(stored)
  local head, item = string.match('\0' .. stored, '^(.-)%zitem=(.*)$')
  local schedule = {item = item}
  for word, value in string.gmatch(head, '%z(%Z-)=(%Z*)') do
    schedule[word] = value
  end
  local every = tonumber(schedule.every or '')
  schedule.every = every and every >= 1 and every
  return schedule
end

local function same_schedule(stored, told)
  local one, other = schedule_of(stored), schedule_of(told)
  for word, absent in pairs({
    every = 0, cron = '', tz = '', missed = 'once', priority = 'normal', item = '',
  }) do
    if (one[word] or absent) ~= (other[word] or absent) then
      return false
    end
  end
  return true
end

local function times_of(name)
  local times = {}
  for time in string.gmatch(call('HGET', run_times, name) or '', '%d+') do
    table.insert(times, tonumber(time))
  end
  return times
end

local function set_times(name, times)
  local texts = {}
  for index, time in ipairs(times) do
    texts[index] = text(time)
  end
  call('HSET', run_times, name, table.concat(texts, ' '))
end

local function run(name, schedule, due)
  local id = name .. '@' .. text(due)
  if call('HEXISTS', items, id) == 0 then
    call('HSET', items, id, schedule.item)
    call('INCR', publishes)
    call('ZADD', published, text(due), id)
    call(schedule.priority == 'high' and 'RPUSH' or 'LPUSH', ids, id)
    tell('put', id)
  end
end

local function bring_runs()
  local time = now()
  local rows = call('ZRANGEBYSCORE', runs, '-inf', text(time), 'WITHSCORES')
  for index = 1, #rows, 2 do
    local name, due = rows[index], tonumber(rows[index + 1])
    local stored = call('HGET', schedules, name)
    call('ZREM', runs, name)
    if not stored then
      call('HDEL', run_times, name)
    else
      local schedule, times, last = schedule_of(stored), times_of(name), nil
      local missed, told = due < time - MISSED, #times
      while due and due <= time do
        if not missed then
          run(name, schedule, due)
        end
        last = due
        due = schedule.every and due + schedule.every or table.remove(times, 1)
      end
      if missed and schedule.missed ~= 'skip' then
        run(name, schedule, last)
      end
      if due then
        call('ZADD', runs, text(due), name)
      end
      if #times < told then
        set_times(name, times)
      end
    end
  end
end

local function ring_for(name)
  if call('ZRANGE', runs, 0, 0)[1] == name then
    ring()
  end
end

-- A time asked for: '' for at once, ms since 1970, or ms from now behind a plus. Nil: it is now.
local function due_at(asked)
  if asked == '' then
    return nil
  end
  local time = now()
  local delay = string.match(asked, '^%+(.*)')
  local due = math.floor(delay and time + tonumber(delay) or tonumber(asked))
  return due > time and due or nil
end

-- --- what else is known of a job -----------------------------------------------------------------

local function facts_of(id)
  local facts = {}
  for part in string.gmatch((call('HGET', info, id) or '') .. '\0', '(.-)%z') do
    local word, value = string.match(part, '^(.-)=(.*)$')
    if word then
      facts[word] = value
    end
  end
  return facts
end

-- An empty text removes what was known.
local function note(id, new)
  local facts, parts = facts_of(id), {}
  for word, value in pairs(new) do
    facts[word] = value
  end
  for word, value in pairs(facts) do
    if value ~= '' then
      table.insert(parts, word .. '=' .. value)
    end
  end
  call('HSET', info, id, table.concat(parts, '\0'))
end

-- --- taking ------------------------------------------------------------------------------------

local function split(list)
  local parts = {}
  for part in string.gmatch((list or '') .. '\0', '(.-)%z') do
    if part ~= '' then
      table.insert(parts, part)
    end
  end
  return parts
end

local function is_held(id, token)
  local since = call('ZSCORE', claimed, id)
  if not since or token == '' then
    return since
  end
  return call('HGET', holders, id) == token .. ' ' .. text(tonumber(since))
end

local function must_be_held(id, token)
  if not is_held(id, token) then
    refuse('NOTCLAIMED')
  end
end

local function end_claims(id)
  call('ZREM', claimed, id)
  local entry = call('HGET', holders, id)
  if not entry then
    return
  end
  call('HDEL', holders, id)
  local token = string.match(entry, '^(.*) ')
  local left = {}
  for _, other in ipairs(split(call('HGET', tokens, token))) do
    if other ~= id then
      table.insert(left, other)
    end
  end
  if #left > 0 then
    call('HSET', tokens, token, table.concat(left, '\0'))
  else
    call('HDEL', tokens, token)
  end
end

-- Ids and items, one after the other.
local function take(token, count)
  local taken, new = {}, {}
  if call('HEXISTS', tokens, token) == 1 then
    for _, id in ipairs(split(call('HGET', tokens, token))) do
      local item = call('HGET', items, id)
      if item and is_held(id, token) then
        table.insert(taken, id)
        table.insert(taken, item)
      end
    end
    return taken
  end
  local time = text(now())
  while not is_paused and #new < count do
    local id = call('RPOP', reserved) or call('RPOP', ids)
    if not id then
      break
    end
    local item = call('HGET', items, id)
    if item and not call('ZSCORE', claimed, id) then
      call('ZADD', claimed, time, id)
      call('HSET', holders, id, token .. ' ' .. time)
      tell('claimed', id)
      table.insert(new, id)
      table.insert(taken, id)
      table.insert(taken, item)
    end
  end
  if #new > 0 then
    call('HSET', tokens, token, table.concat(new, '\0'))
  end
  return taken
end

-- What stands in feed.running of a claim, if it has a holder.
local function running_as(id)
  local token = string.match(call('HGET', holders, id) or '', '^(.*) ')
  return token and is_held(id, token) and token .. ' ' .. id
end

-- Since when a job is claimed, however often its claim was extended since; nil: it is not.
local function claimed_since(id)
  local since, member = call('ZSCORE', claimed, id), running_as(id)
  local first = since and member and call('ZSCORE', running, member)
  return since and math.min(milliseconds(since), tonumber(first or since))
end

-- Removes members of feed.running whose claims have ended, among those from one rank to another.
local function forget_running(from, to)
  for _, member in ipairs(call('ZRANGE', running, from, to)) do
    if running_as(string.match(member, ' (.*)$') or '') ~= member then
      call('ZREM', running, member)
    end
  end
end

-- Gives a claim another time. The entry of its holder goes along if it counts.
local function date(id, time)
  local entry = call('HGET', holders, id)
  local holder = entry and string.match(entry, '^(.*) ')
  local counts = holder and is_held(id, holder)
  call('ZADD', claimed, time, id)
  if counts then
    call('HSET', holders, id, holder .. ' ' .. time)
  end
end

-- Calls back for each claim that is older than so many ms, oldest first.
local function each_expired(timeout, back)
  local time = now()
  -- What has yet to come is of a clock that was ahead, and counts as now.
  for _, range in ipairs({{'-inf', text(time - timeout)}, {'(' .. text(time), '+inf'}}) do
    local rows = call('ZRANGEBYSCORE', claimed, range[1], range[2], 'WITHSCORES')
    for index = 1, #rows, 2 do
      local since = math.min(time, milliseconds(rows[index + 1]))
      if since <= time - timeout then
        back(rows[index])
      else
        date(rows[index], text(since))
      end
    end
  end
end

-- Milliseconds until the oldest claim runs out, at most `timeout`.
local function wake(timeout)
  local oldest = call('ZRANGE', claimed, 0, 0, 'WITHSCORES')
  if not oldest[1] then
    return timeout
  end
  return math.max(0, math.min(timeout, milliseconds(oldest[2]) + timeout - now()))
end

local function stall(id)
  end_claims(id)
  call('ZREM', published, id)
  call('SADD', stalled, id)
  tell('stalled', id)
end

-- Whether it is stalled. If not, it waits, until it is due if there is such a time.
local function requeue_or_stall(id, due)
  end_claims(id)
  local failures, limit = call('HINCRBY', cancelled, id, 1), setting('max_failures')
  if limit > 0 and failures >= limit then
    stall(id)
    return true
  end
  tell('cancelled', id)
  if due then
    local item = call('HGET', items, id)
    call('ZREM', published, id)
    call('HDEL', items, id)
    schedule({{id = id, item = item}}, due)
  else
    call('LPUSH', ids, id)
  end
  return false
end

local function give_back_expired(timeout)
  -- A peer that was woken by the bell may have claimed it.
  call('ZREM', claimed, '')
  if timeout > 0 then
    each_expired(timeout, function(id)
      requeue_or_stall(id)
    end)
  end
end

-- Ids that may be taken: what is to be done with each, 0 nothing, 1 add, 2 replace.
local function outcomes_of(jobs, if_exists)
  local outcomes = {}
  for index, job in ipairs(jobs) do
    local is_there = call('HEXISTS', items, job.id) + call('HEXISTS', scheduled_items, job.id) > 0
    local taken_until = tonumber(call('ZSCORE', unique, job.id) or '')
    outcomes[index] = 1
    if is_there or taken_until and taken_until > now() then
      if if_exists == 'refuse' then
        refuse('EXISTS')
      end
      local free = is_there and not call('ZSCORE', claimed, job.id)
      outcomes[index] = if_exists == 'replace' and free and 2 or 0
    end
  end
  return outcomes
end

local function stay_taken(id, time)
  if time > 0 then
    call('ZADD', unique, text(now() + time), id)
    call('ZREMRANGEBYSCORE', unique, '-inf', text(now()))
  end
end

-- --- calls that are repeated ----------------------------------------------------------------

-- An answer is a number, or a list of numbers or texts.
local function written(answer)
  if type(answer) == 'number' then
    return 'n' .. answer
  elseif type(answer[1]) == 'number' then
    return 'N' .. table.concat(answer, ',')
  end
  return 'S' .. table.concat(answer, '\0')
end

local function read(entry)
  local kind, rest = string.sub(entry, 1, 1), string.sub(entry, 2)
  if kind == 'n' then
    return tonumber(rest)
  elseif kind == 'S' then
    return split(rest)
  end
  local list = {}
  for part in string.gmatch(rest, '[^,]+') do
    table.insert(list, tonumber(part))
  end
  return list
end

-- What `step` answers, or has answered to the same call of the session.
local function once(step)
  if session == '' then
    return (step())
  end
  local entry = call('HGET', answers, session)
  if entry then
    local last, answer = string.match(entry, '^%d+ (%d+) (.*)$')
    if tonumber(last) == number then
      return read(answer)
    elseif tonumber(last) > number then
      refuse('OVERTAKEN')
    end
  end
  local answer, nothing_done = step()
  if nothing_done then
    return answer
  end
  local time = tonumber(call('TIME')[1])
  local is_new = call('HSET', answers, session, time .. ' ' .. number .. ' ' .. written(answer))
  if is_new == 1 and call('HLEN', answers) > 16 then
    for _, other in ipairs(call('HRANDFIELD', answers, 4)) do
      local mark, since, rest = string.match(call('HGET', answers, other), '^(0?)(%d+)(.*)$')
      since = tonumber(since or 0)
      -- One that is old, or of a time to come, is marked first. With the mark it goes.
      if not mark or mark == '0' and since < time - 600 then
        call('HDEL', answers, other)
      elseif since < time - 600 or since > time then
        call('HSET', answers, other, '0' .. time .. rest)
      end
    end
  end
  return answer
end

-- --- the operations ---------------------------------------------------------------------------

local operations = {}

operations['create'] = function(...)
  if call('HEXISTS', config, 'type') == 1 then
    return 0, 'nothing done'
  end
  call('HSET', config, ...)
  -- Left over by an older peer's delete.
  call('DEL', scheduled, scheduled_items, unique, info, paused, schedules, runs, run_times,
    running)
  return 1
end

operations['delete'] = function(...)
  for index, id in ipairs({...}) do
    call('DEL', KEYS[FIRST_RESULT - 1 + index])
    call('ZREM', results, id)
  end
  local left = call('ZRANGE', results, 0, 999)
  if #left > 0 then
    return left
  end
  local existed = call('EXISTS', config)
  for index = 1, FIRST_RESULT - 1 do
    call('DEL', KEYS[index])
  end
  if existed == 0 then
    refuse('NOFEED')
  end
  return {}
end

operations['set config'] = function(instance, ...)
  local kind = call('HGET', config, 'type')
  if not kind then
    refuse('NOFEED')
  end
  local fields = {...}
  for index = 1, #fields, 3 do
    if fields[index] == 'type' and fields[index + 2] ~= kind then
      refuse('WRONGTYPE')
    end
  end
  for index = 1, #fields, 3 do
    if fields[index + 1] == 'set' then
      call('HSET', config, fields[index], fields[index + 2])
    else
      call('HDEL', config, fields[index])
    end
  end
  local limit = setting('max_length')
  if kind == 'feed' and limit > 0 then
    for _, id in ipairs(call('ZRANGE', ids, 0, -1 - limit)) do
      call('ZREM', ids, id)
      call('HDEL', items, id)
      say('feed.retract', id)
    end
  end
  call('PUBLISH', 'conffeed', F .. '\0' .. instance)
  return 1
end

operations['pause'] = function(instance)
  must_be('queue', 'job')
  if is_paused then
    return 0
  end
  call('HSET', config, 'paused', '1')
  for _, list in ipairs({paused, reserved}) do
    for _, id in ipairs(call('LRANGE', list, 0, -1)) do
      call('RPUSH', ids, id)
    end
    call('DEL', list)
  end
  if call('EXISTS', ids) == 1 then
    call('RENAME', ids, paused)
  end
  call('PUBLISH', 'conffeed', F .. '\0' .. instance)
  return 1
end

operations['resume'] = function(instance)
  must_be('queue', 'job')
  if not is_paused then
    return 0
  end
  bring_along()
  call('HDEL', config, 'paused')
  is_paused, ids = false, inbox
  if call('EXISTS', paused) == 1 then
    call('RENAME', paused, ids)
  elseif SHAPES[call('HGET', config, 'type')] == 'job' and call('EXISTS', scheduled, runs, claimed) > 0 then
    ring()
  end
  call('PUBLISH', 'conffeed', F .. '\0' .. instance)
  return 1
end

operations['ids of jobs'] = function()
  local found = call('HKEYS', items)
  for _, id in ipairs(call('HKEYS', scheduled_items)) do
    table.insert(found, id)
  end
  return found
end

operations['item'] = function(id)
  return call('HGET', items, id) or call('HGET', scheduled_items, id)
end

operations['items'] = function()
  local found = call('HGETALL', items)
  for _, word in ipairs(call('HGETALL', scheduled_items)) do
    table.insert(found, word)
  end
  return found
end

-- How many ids wait, and how many are claimed. The bell is none.
local function waiting()
  local bell = call('LPOS', ids, '') and 1 or 0
  return call('LLEN', ids) + call('LLEN', reserved) - bell
end

local function claims()
  return call('ZCARD', claimed) - (call('ZSCORE', claimed, '') and 1 or 0)
end

-- In milliseconds since; '' for what there is not.
local function age(since)
  return since and math.max(0, math.floor(now() - milliseconds(since))) or ''
end

-- Field, value, field, value ...
operations['stats'] = function()
  local kind = call('HGET', config, 'type') or refuse('NOFEED')
  local shape = SHAPES[kind]
  local found = {'items', call('HLEN', items), 'publishes', counted(call('GET', publishes))}
  local function add(field, value)
    table.insert(found, field)
    table.insert(found, value)
  end
  if shape == 'feed' then
    add('oldest_item', age(call('ZRANGE', ids, 0, 0, 'WITHSCORES')[2]))
    add('newest_item', age(call('ZRANGE', ids, -1, -1, 'WITHSCORES')[2]))
  elseif shape == 'queue' or shape == 'job' then
    add('waiting', waiting())
    add('claimed', claims())
    add('paused', is_paused and 1 or 0)
    local first = call('ZRANGE', claimed, 0, 1, 'WITHSCORES')
    local oldest = first[first[1] == '' and 4 or 2]
    for _, member in ipairs(oldest and call('ZRANGE', running, 0, 99) or {}) do
      local id = string.match(member, ' (.*)$') or ''
      if running_as(id) == member then
        oldest = math.min(milliseconds(oldest), claimed_since(id))
        break
      end
    end
    add('oldest_claimed', age(oldest))
  end
  if shape == 'job' then
    add('stalled', call('SCARD', stalled))
    add('failing', call('HLEN', cancelled))
    add('finished', counted(call('GET', finishes)))
    add('scheduled', call('ZCARD', scheduled))
    local due = next_due()
    add('next_due', due and math.max(0, due - now()) or '')
    local oldest
    for _, id in ipairs(call('ZRANGE', published, 0, 999)) do
      oldest = oldest or not call('ZSCORE', claimed, id) and call('ZSCORE', published, id)
    end
    add('oldest_waiting', age(oldest))
  end
  return found
end

-- A cursor is the place of the last id, how long the list was, and the id; of a feed its score.
operations['page'] = function(shape, count, reverse, cursor)
  must_be(shape)
  if shape == 'job' then
    -- Those that are scheduled come last: their cursors begin with an s.
    local later, at = string.match(cursor, '^(s?)(%d*)$')
    local found, next_at = {}, at
    for _, list in ipairs(later == '' and {items, scheduled_items} or {scheduled_items}) do
      later = list == scheduled_items and 's' or ''
      local step = call('HSCAN', list, next_at == '' and '0' or next_at, 'COUNT', count)
      for index = 1, #step[2], 2 do
        table.insert(found, step[2][index])
      end
      next_at = step[1]
      if next_at ~= '0' then
        return {later .. next_at, found}
      end
    end
    return {'', found}
  end
  count = tonumber(count)
  local found = {}
  if shape == 'feed' then
    local from = cursor == '' and (reverse == '1' and '+inf' or '-inf') or '(' .. cursor
    local rows = reverse == '1'
      and call('ZREVRANGEBYSCORE', ids, from, '-inf', 'WITHSCORES', 'LIMIT', 0, count)
      or call('ZRANGEBYSCORE', ids, from, '+inf', 'WITHSCORES', 'LIMIT', 0, count)
    for index = 1, #rows, 2 do
      table.insert(found, rows[index])
    end
    return {#found < count and '' or text(tonumber(rows[#rows])), found}
  end
  -- A queue is read from the right.
  local from_right, length, start = (reverse == '1') ~= (shape == 'queue'), call('LLEN', ids), 0
  local last, was, id = string.match(cursor, '^(%d+) (%d+) (.*)$')
  if id then
    local place = call('LPOS', ids, id, 'RANK', from_right and -1 or 1)
    if place then
      start = (from_right and length - 1 - place or place) + 1
    else
      start = math.max(0, last + 1 - math.max(0, was - length))
    end
  end
  local rows = from_right and call('LRANGE', ids, -start - count, -start - 1)
    or call('LRANGE', ids, start, start + count - 1)
  for index = 1, #rows do
    found[index] = rows[from_right and #rows + 1 - index or index]
  end
  local place = start + #found - 1
  return {#found < count and '' or place .. ' ' .. length .. ' ' .. found[#found], found}
end

operations['snapshot page'] = function(shape, token, tag, start, skip, count, wanted, ...)
  must_be(shape)
  local asked = {...}
  local found, page, known, size = {}, {}, {}, 0
  for index = wanted + 1, #asked, 2 do
    known[asked[index]] = asked[index + 1]
  end
  local function read(id, digest)
    local item = call('HGET', items, id) or ''
    size = size + #item
    if string.sub(redis.sha1hex(item), 1, 32) ~= digest then
      table.insert(found, id)
      table.insert(found, item)
    end
  end
  for index = 1, wanted do
    if size < 250000 then
      read(asked[index])
    end
  end
  local total = call(shape == 'feed' and 'ZCARD' or 'LLEN', ids)
  local read_ids = shape == 'feed' and 'ZRANGE' or 'LRANGE'
  for index, id in ipairs(call(read_ids, ids, start, start + skip + count - 1)) do
    if index <= skip + 1 or size < 250000 then
      table.insert(page, id)
      if index > tonumber(skip) then
        read(id, known[id])
      end
    end
  end
  local time = call('TIME')
  local mark = tag .. '-' .. time[1] .. '-' .. time[2]
  call('PUBLISH', 'feed.marker:' .. token, F .. '\0' .. mark)
  return {mark, total, page, found}
end

operations['feed publish'] = function(...)
  local entries = {...}
  must_be('feed')
  for index = 2, #entries, 2 do
    must_fit(entries[index])
  end
  for _, id in ipairs(call('ZRANGEBYSCORE', ids, '-inf', '(1e11')) do
    call('ZADD', ids, text(call('ZSCORE', ids, id) * 1000), id)
  end
  local is_new = {}
  local limit = setting('max_length')
  for index = 1, #entries, 2 do
    local id, item = entries[index], entries[index + 1]
    local new = not call('ZSCORE', ids, id)
    while new and limit > 0 and call('ZCARD', ids) >= limit do
      local oldest = call('ZRANGE', ids, 0, 0)[1]
      call('ZREM', ids, oldest)
      call('HDEL', items, oldest)
      say('feed.retract', oldest)
    end
    local score = now()
    local last = tonumber(call('ZRANGE', ids, -1, -1, 'WITHSCORES')[2] or '0')
    if score <= last then
      score = after(last)
    end
    call('ZADD', ids, text(score), id)
    call('INCR', publishes)
    call('HSET', items, id, item)
    say(new and 'feed.publish' or 'feed.edit', id, item)
    table.insert(is_new, new and 1 or 0)
  end
  return is_new
end

operations['feed retract'] = function(id)
  must_be('feed')
  local removed = call('ZREM', ids, id)
  if removed == 1 then
    call('HDEL', items, id)
    say('feed.retract', id)
  end
  return removed
end

local function must_have(id)
  if not call('LPOS', ids, id) then
    refuse('NOITEM')
  end
end

-- `position` is as in a notice; `side` and `neighbour` are what it means.
local function place(id, side, neighbour, position)
  if side == 'begin' then
    call('LPUSH', ids, id)
  elseif side == 'end' then
    call('RPUSH', ids, id)
  else
    call('LINSERT', ids, side, neighbour, id)
  end
  say('feed.position', id, position)
end

operations['sorted insert'] = function(side, neighbour, position, ...)
  must_be('sorted')
  for _, item in ipairs({...}) do
    must_fit(item)
  end
  if neighbour ~= '' then
    must_have(neighbour)
  end
  local new = {}
  for _, item in ipairs({...}) do
    local id = text(call('INCR', idincr))
    call('HSET', items, id, item)
    call('INCR', publishes)
    say('feed.publish', id, item)
    place(id, side, neighbour, position)
    if side == 'begin' or side == 'after' then
      side, neighbour, position = 'after', id, id .. ':'
    end
    table.insert(new, id)
  end
  return new
end

operations['sorted edit'] = function(id, item)
  must_be('sorted')
  must_fit(item)
  if call('HEXISTS', items, id) == 0 then
    refuse('NOITEM')
  end
  call('HSET', items, id, item)
  call('INCR', publishes)
  say('feed.edit', id, item)
  return 1
end

operations['sorted move'] = function(id, side, neighbour, position)
  must_be('sorted')
  must_have(id)
  if neighbour == id then
    return 0
  end
  if neighbour ~= '' then
    must_have(neighbour)
  end
  call('LREM', ids, 1, id)
  place(id, side, neighbour, position)
  return 1
end

operations['sorted retract'] = function(id)
  must_be('sorted')
  local removed = call('LREM', ids, 1, id)
  if removed == 1 then
    call('HDEL', items, id)
    say('feed.retract', id)
  end
  return removed
end

operations['queue put'] = function(id, item, push)
  must_be('queue')
  must_fit(item)
  call('HSET', items, id, item)
  call('INCR', publishes)
  call(push, ids, id)
  return 1
end

local function entries_of(words)
  local entries = {}
  for index = 1, #words, 2 do
    must_fit(words[index + 1])
    table.insert(entries, {id = words[index], item = words[index + 1]})
  end
  return entries
end

operations['queue add'] = function(push, if_exists, stay, ...)
  must_be('queue')
  local entries = entries_of({...})
  local outcomes = outcomes_of(entries, if_exists)
  for index, entry in ipairs(entries) do
    if outcomes[index] > 0 then
      call('HSET', items, entry.id, entry.item)
      call('INCR', publishes)
      stay_taken(entry.id, tonumber(stay))
    end
    if outcomes[index] == 1 then
      call(push, ids, entry.id)
    end
  end
  return outcomes
end

operations['queue clear'] = function(count)
  must_be('queue')
  local gone = call('ZRANGE', claimed, 0, count - 1)
  for _, id in ipairs(gone) do
    end_claims(id)
  end
  for _ = 1, count do
    local id = call('RPOP', reserved) or call('RPOP', ids)
    if not id then
      break
    end
    table.insert(gone, id)
  end
  for _, id in ipairs(gone) do
    call('HDEL', items, id)
  end
  return {#gone, call('LLEN', ids) + call('LLEN', reserved) + call('ZCARD', claimed)}
end

local CONFIRM_WITHIN = 10000

operations['queue take'] = function(token, count)
  must_be('queue')
  local late = {}
  each_expired(CONFIRM_WITHIN, function(id)
    end_claims(id)
    table.insert(late, 1, id)
  end)
  for _, id in ipairs(late) do
    call('RPUSH', ids, id)
  end
  if is_paused then
    bring_along()
  end
  local taken = take(token, tonumber(count))
  return {wake(CONFIRM_WITHIN), taken}
end

operations['queue confirm'] = function(token, ...)
  must_be('queue')
  for _, id in ipairs({...}) do
    must_be_held(id, token)
  end
  for _, id in ipairs({...}) do
    end_claims(id)
    call('HDEL', items, id)
  end
  return 1
end

operations['queue return'] = function(token, ...)
  must_be('queue')
  local entries = {...}
  for index = #entries - 1, 1, -2 do
    local id, item = entries[index], entries[index + 1]
    if is_held(id, token) or call('HEXISTS', items, id) == 0 then
      end_claims(id)
      call('HSET', items, id, item)
      call('RPUSH', ids, id)
    end
  end
  return 1
end

operations['release'] = function(token, ...)
  must_be('queue', 'job')
  local some = select('#', ...) > 0
  local meant = {}
  for _, id in ipairs({...}) do
    meant[id] = true
  end
  local taken = split(call('HGET', tokens, token))
  for index = #taken, 1, -1 do
    local id = taken[index]
    if (meant[id] or not some) and is_held(id, token) then
      end_claims(id)
      call('RPUSH', ids, id)
      tell('released', id)
    end
  end
  if not some then
    call('HDEL', tokens, token)
  end
  return 1
end

operations['job put'] = function(id, item, push)
  must_be('job')
  must_fit(item)
  call('HSET', items, id, item)
  call('INCR', publishes)
  call('ZADD', published, text(now()), id)
  call(push, ids, id)
  tell('put', id)
  return 1
end

operations['job get'] = function(token, count)
  must_be('job')
  local timeout = setting('claim_timeout') * 1000
  give_back_expired(timeout)
  if is_paused then
    bring_along()
  end
  bring_due()
  bring_runs()
  local taken = take(token, tonumber(count))
  local due = next_due()
  if due and #taken > 0 then
    ring()
  end
  local failures = {}
  for index = 1, #taken, 2 do
    table.insert(failures, counted(call('HGET', cancelled, taken[index])))
  end
  local left = timeout > 0 and wake(timeout) or math.huge
  left = math.min(left, due and due - now() or math.huge)
  return {left < math.huge and math.max(0, left) or -1, taken, failures}
end

operations['job extend'] = function(...)
  local jobs, extended = {...}, {}
  must_be('job')
  for index = 1, #jobs, 2 do
    local id = jobs[index]
    local held = is_held(id, jobs[index + 1])
    if held then
      local member = running_as(id)
      if member then
        local since = math.min(now(), milliseconds(call('ZSCORE', claimed, id)))
        call('ZADD', running, 'NX', text(since), member)
      end
      date(id, text(now()))
    end
    table.insert(extended, held and 1 or 0)
  end
  local some = math.random(0, math.max(0, call('ZCARD', running) - 1))
  forget_running(some, some + #jobs)
  forget_running(0, 3)
  return extended
end

operations['job holds'] = function(...)
  local jobs, holds = {...}, {}
  must_be('job')
  for index = 1, #jobs, 2 do
    table.insert(holds, is_held(jobs[index], jobs[index + 1]) and 1 or 0)
  end
  return holds
end

operations['job progress'] = function(id, token, progress, doing)
  must_be('job')
  must_be_held(id, token)
  note(id, {progressed = text(now()), progress = progress, doing = doing})
  tell('progressed', id, progress, doing)
  return 1
end

operations['job schedule'] = function(name, stored, ...)
  must_be('job')
  if call('HGET', schedules, name) == stored and call('ZSCORE', runs, name) then
    return 0
  end
  local every, times = schedule_of(stored).every, {...}
  call('HSET', schedules, name, stored)
  call('ZADD', runs, every and text(now() + every) or table.remove(times, 1), name)
  if every then
    call('HDEL', run_times, name)
  else
    set_times(name, times)
  end
  ring_for(name)
  return 1
end

operations['job set runs'] = function(name, stored, ...)
  must_be('job')
  local known = call('HGET', schedules, name)
  if not known or not same_schedule(known, stored) then
    return 0
  end
  local due, times = call('ZSCORE', runs, name), {}
  for _, time in ipairs({...}) do
    if tonumber(time) > (tonumber(due or '') or now()) then
      table.insert(times, time)
    end
  end
  if not due and #times > 0 then
    call('ZADD', runs, table.remove(times, 1), name)
    ring_for(name)
  end
  set_times(name, times)
  return 1
end

operations['job unschedule'] = function(name)
  must_be('job')
  call('ZREM', runs, name)
  call('HDEL', run_times, name)
  return call('HDEL', schedules, name)
end

operations['schedules'] = function(...)
  must_be('job')
  local found = {}
  for _, name in ipairs(select('#', ...) > 0 and {...} or call('HKEYS', schedules)) do
    local stored = call('HGET', schedules, name)
    if stored then
      local due, times = call('ZSCORE', runs, name) or '', call('HGET', run_times, name) or ''
      table.insert(found, {name, stored, due, times})
    end
  end
  return found
end

-- Kind of result: some, none, or '' for no result. Seconds to keep it: '' as configured.
local function finish(id, kind, result, seconds, key)
  end_claims(id)
  call('HDEL', cancelled, id)
  call('ZREM', published, id)
  call('INCR', finishes)
  if kind ~= '' then
    local time = now()
    local configured = tonumber(call('HGET', config, 'result_timeout') or '') or 86400
    local keep = (tonumber(seconds) or configured) * 1000
    call('DEL', key)
    call('RPUSH', key, kind, call('HGET', items, id) or '', result)
    if keep > 0 then
      call('PEXPIRE', key, string.format('%.0f', keep))
    end
    call('ZADD', results, keep > 0 and text(time + keep) or '+inf', id)
    call('ZREMRANGEBYSCORE', results, '-inf', '(' .. text(time))
    say('job.finish', id, result)
  else
    tell('finished', id)
  end
  call('HDEL', items, id)
  call('HDEL', info, id)
end

-- For each job: id, token, and how it is finished.
operations['job finish'] = function(...)
  local jobs = {...}
  must_be('job')
  for index = 1, #jobs, 5 do
    must_be_held(jobs[index], jobs[index + 1])
  end
  for index = 1, #jobs, 5 do
    local id, _, kind, result, seconds = unpack(jobs, index, index + 4)
    finish(id, kind, result, seconds, KEYS[FIRST_RESULT + (index - 1) / 5])
  end
  return 1
end

-- How many are to be finished, these as in job finish, then those to be cancelled: id, token.
operations['job next'] = function(token, count, many, ...)
  must_be('job')
  local jobs, finished, lost = {...}, tonumber(many) * 5, {}
  for index = 1, finished, 5 do
    local id, shown, kind, result, seconds = unpack(jobs, index, index + 4)
    if is_held(id, shown) then
      finish(id, kind, result, seconds, KEYS[FIRST_RESULT + (index - 1) / 5])
    else
      table.insert(lost, id)
    end
  end
  for index = finished + 1, #jobs, 2 do
    if is_held(jobs[index], jobs[index + 1]) then
      requeue_or_stall(jobs[index])
    else
      table.insert(lost, jobs[index])
    end
  end
  local answer = operations['job get'](token, count)
  table.insert(answer, lost)
  return answer
end

operations['job cancel'] = function(id, token)
  must_be('job')
  must_be_held(id, token)
  requeue_or_stall(id)
  return 1
end

operations['job stall'] = function(id, token)
  must_be('job')
  must_be_held(id, token)
  stall(id)
  return 1
end

-- How: stall, '' for at once, or when it is due.
operations['job fail'] = function(id, token, how, message, kind, traceback, worker)
  must_be('job')
  must_be_held(id, token)
  local facts = {
    failed = text(now()), message = message, error = kind, traceback = traceback, worker = worker,
  }
  local put, outcome = call('ZSCORE', published, id), 0
  if put and not facts_of(id).put then
    facts.put = text(milliseconds(put))
  end
  if how == 'stall' then
    stall(id)
    outcome = 1
  else
    local due = due_at(how)
    if requeue_or_stall(id, due) then
      outcome = 1
    elseif due then
      outcome, facts.due = 2, text(due)
    end
  end
  if outcome == 1 then
    facts.stalled = text(now())
  end
  note(id, facts)
  return outcome
end

operations['job add'] = function(push, when, if_exists, stay, ...)
  must_be('job')
  local jobs = entries_of({...})
  local outcomes, due, later = outcomes_of(jobs, if_exists), due_at(when), {}
  for index, job in ipairs(jobs) do
    local id = job.id
    job.is_scheduled = call('ZSCORE', scheduled, id)
    job.is_stalled = call('SISMEMBER', stalled, id) == 1
    if outcomes[index] > 0 and due then
      table.insert(later, job)
    elseif outcomes[index] > 0 then
      call('HSET', items, id, job.item)
      if outcomes[index] == 1 or job.is_scheduled or job.is_stalled then
        call('ZADD', published, text(now()), id)
        call(push, ids, id)
      end
      tell('put', id)
    end
  end
  if #later > 0 then
    schedule(later, due + (push == 'RPUSH' and 0.5 or 0))
  end
  for index, job in ipairs(jobs) do
    local id = job.id
    if outcomes[index] > 0 then
      call('INCR', publishes)
      call('DEL', KEYS[FIRST_RESULT - 1 + index])
      call('ZREM', results, id)
      call('HDEL', cancelled, id)
      call('HDEL', info, id)
      call('SREM', stalled, id)
      if due then
        call('HDEL', items, id)
        call('ZREM', published, id)
        if call('LREM', ids, 1, id) == 0 then
          call('LREM', reserved, 1, id)
        end
        note(id, {put = text(now()), due = text(due)})
      else
        call('ZREM', scheduled, id)
        call('HDEL', scheduled_items, id)
      end
      stay_taken(id, tonumber(stay))
    end
  end
  return outcomes
end

operations['job reschedule'] = function(id, when)
  must_be('job')
  local before = call('ZSCORE', scheduled, id)
  if not before then
    refuse('NOTSCHEDULED')
  end
  local more, due = before % 1, due_at(when)
  if not due then
    make_available(id, now() + more)
    note(id, {due = text(now())})
    return 0
  end
  schedule({{id = id, item = call('HGET', scheduled_items, id)}}, due + more)
  note(id, {due = text(due)})
  return 1
end

-- Field, value, field, value ...
local function tell_of(id, state)
  local facts, found = facts_of(id), {}
  facts.put = call('ZSCORE', published, id) or facts.put
  if state == 'scheduled' then
    facts.due = call('ZSCORE', scheduled, id)
  elseif state == 'claimed' then
    facts.claimed = text(claimed_since(id))
  end
  facts.state, facts.failures = state, call('HGET', cancelled, id) or '0'
  for word, value in pairs(facts) do
    table.insert(found, word)
    table.insert(found, value)
  end
  return found
end

operations['job info'] = function(id)
  must_be('job')
  local state, has_result = nil, call('EXISTS', KEYS[FIRST_RESULT])
  if call('HEXISTS', scheduled_items, id) == 1 then
    state = 'scheduled'
  elseif call('HEXISTS', items, id) == 1 then
    state = call('ZSCORE', claimed, id) and 'claimed'
      or call('SISMEMBER', stalled, id) == 1 and 'stalled' or 'waiting'
  elseif has_result == 1 then
    state = 'finished'
  end
  return {has_result, state and tell_of(id, state) or {}}
end

-- The ids of the jobs in one state, as they are read.
local function in_state(state)
  local found = {}
  if state == 'scheduled' then
    return call('ZRANGE', scheduled, 0, -1)
  elseif state == 'claimed' then
    return call('ZRANGE', claimed, 0, -1)
  elseif state == 'stalled' then
    return call('SMEMBERS', stalled)
  end
  for _, list in ipairs({reserved, ids}) do
    local listed = call('LRANGE', list, 0, -1)
    for index = #listed, 1, -1 do
      table.insert(found, listed[index])
    end
  end
  return found
end

-- A cursor is the last id: short, but what has gone meanwhile begins anew. Enough for an example.
operations['job page'] = function(state, count, cursor)
  must_be('job')
  local all, found, last = in_state(state), {}, ''
  local first = 1
  for index, id in ipairs(all) do
    first = id == cursor and index + 1 or first
  end
  for index = first, math.min(#all, first + count - 1) do
    local id = all[index]
    local item = call('HGET', state == 'scheduled' and scheduled_items or items, id)
    if item then
      table.insert(found, {id, item, tell_of(id, state)})
    end
    last = index < #all and id or ''
  end
  return {last, found}
end

-- --- copies ----------------------------------------------------------------------------------

-- A cursor is the rank and the id of the last one that was read.
operations['times'] = function(shape, of, count, cursor)
  must_be(shape)
  local key = ({published = ids, scheduled = scheduled, results = results, taken = unique})[of]
  local rank, last = string.match(cursor, '^(%d+) (.*)$')
  local known = rank and call('ZRANK', key, last)
  local start = known and known + 1 or tonumber(rank or 0)
  local rows = call('ZRANGE', key, start, start + count - 1, 'WITHSCORES')
  local next_one = ''
  if start + #rows / 2 < call('ZCARD', key) then
    next_one = (start + #rows / 2 - 1) .. ' ' .. rows[#rows - 1]
  end
  return {next_one, rows}
end

local function restore_item(shape, id, item, at)
  local before = call('HGET', items, id)
  if before == item then
    return 0
  end
  if shape == 'feed' then
    local last = tonumber(call('ZRANGE', ids, -1, -1, 'WITHSCORES')[2] or '0')
    local score = tonumber(at) or now()
    if score <= last then
      score = after(last)
    end
    call('ZADD', ids, text(score), id)
  elseif not before then
    call('RPUSH', ids, id)
    if counted(id) > counted(call('GET', idincr)) then
      call('SET', idincr, id)
    end
  end
  call('HSET', items, id, item)
  call('INCR', publishes)
  say(before and 'feed.edit' or 'feed.publish', id, item)
  if shape == 'sorted' and not before then
    say('feed.position', id, ':end')
  end
  return before and 2 or 1
end

local function restore_result(key, id, at, ...)
  local left = at ~= '' and tonumber(at) - now()
  if call('EXISTS', key) == 1 or left and left < 1 then
    return 0
  end
  local texts = {...}
  call('RPUSH', key, unpack(texts))
  if left then
    call('PEXPIRE', key, text(math.floor(left)))
  end
  call('ZADD', results, left and at or '+inf', id)
  say('job.finish', id, texts[#texts])
  return 1
end

local function restore_taken(id, at)
  if tonumber(at) <= math.max(now(), tonumber(call('ZSCORE', unique, id) or '') or 0) then
    return 0
  end
  call('ZADD', unique, at, id)
  return 1
end

-- The facts come in pairs; those that are not known are empty.
local function restore_job(shape, what, id, item, at, put, is_high, failures, ...)
  if call('HEXISTS', items, id) == 1 or call('ZSCORE', scheduled, id) then
    return 0
  end
  call('INCR', publishes)
  if what == 'scheduled' then
    schedule({{id = id, item = item}}, math.floor(at) + (is_high == '1' and 0.5 or 0))
  else
    call('HSET', items, id, item)
    if what == 'stalled' then
      call('SADD', stalled, id)
      tell('stalled', id)
    else
      call('LPUSH', ids, id)
      if shape == 'job' then
        call('ZADD', published, put == '' and text(now()) or put, id)
        tell('put', id)
      end
    end
  end
  if failures ~= '0' then
    call('HSET', cancelled, id, failures)
  end
  local facts, given, is_known = {due = at, put = what ~= 'waiting' and put or ''}, {...}, false
  for index = 1, #given, 2 do
    facts[given[index]] = given[index + 1]
  end
  for _, value in pairs(facts) do
    is_known = is_known or value ~= ''
  end
  if is_known then
    note(id, facts)
  end
  return 1
end

-- Of each element how many words it has, and these: what it is, its id, and what belongs to it.
operations['restore'] = function(shape, ...)
  must_be(shape)
  local words, at, outcomes, key = {...}, 1, {}, FIRST_RESULT
  while at <= #words do
    if words[at + 1] == 'item' then
      must_fit(words[at + 3])
    end
    at = at + 1 + words[at]
  end
  at = 1
  while at <= #words do
    local last = at + words[at]
    local what, id = words[at + 1], words[at + 2]
    local outcome
    if what == 'item' then
      outcome = restore_item(shape, id, words[at + 3], words[at + 4])
    elseif what == 'result' then
      outcome = restore_result(KEYS[key], id, unpack(words, at + 3, last))
      key = key + 1
    elseif what == 'taken' then
      outcome = restore_taken(id, words[at + 3])
    elseif what == 'schedule' then
      outcome = call('HSETNX', schedules, id, words[at + 3])
      if outcome == 1 and words[at + 4] ~= '' then
        call('ZADD', runs, words[at + 4], id)
        if last > at + 4 then
          set_times(id, {unpack(words, at + 5, last)})
        end
        ring_for(id)
      end
    else
      outcome = restore_job(shape, what, id, unpack(words, at + 3, last))
    end
    table.insert(outcomes, outcome)
    at = last + 1
  end
  local limit = shape == 'feed' and setting('max_length') or 0
  while limit > 0 and call('ZCARD', ids) > limit do
    local oldest = call('ZRANGE', ids, 0, 0)[1]
    call('ZREM', ids, oldest)
    call('HDEL', items, oldest)
    say('feed.retract', oldest)
  end
  return outcomes
end

operations['job retry all'] = function(count)
  must_be('job')
  local again = 0
  for _, id in ipairs(call('SPOP', stalled, count)) do
    if call('HEXISTS', items, id) == 1 then
      call('HDEL', cancelled, id)
      call('LPUSH', ids, id)
      call('ZADD', published, text(now()), id)
      tell('retried', id)
      again = again + 1
    end
  end
  return {again, call('SCARD', stalled)}
end

operations['job retry'] = function(id)
  must_be('job')
  if call('SREM', stalled, id) == 0 then
    refuse('NOTSTALLED')
  end
  call('HDEL', cancelled, id)
  call('LPUSH', ids, id)
  call('ZADD', published, text(now()), id)
  tell('retried', id)
  return 1
end

operations['job retract'] = function(id)
  must_be('job')
  local removed = math.max(call('HDEL', items, id), call('HDEL', scheduled_items, id))
  call('HDEL', cancelled, id)
  call('HDEL', info, id)
  call('ZREM', unique, id)
  call('ZREM', scheduled, id)
  call('ZREM', published, id)
  call('SREM', stalled, id)
  end_claims(id)
  if call('LREM', ids, 1, id) == 0 then
    call('LREM', reserved, 1, id)
  end
  if removed == 1 then
    tell('retracted', id)
  end
  return removed
end

operations['job clear'] = function(state, count)
  must_be('job')
  local gone = 0
  for index, id in ipairs(in_state(state)) do
    if index <= tonumber(count) then
      gone = gone + operations['job retract'](id)
    end
  end
  return {gone, #in_state(state)}
end

operations['job counts'] = function()
  must_be('job')
  return {
    waiting(), claims(), call('SCARD', stalled), counted(call('GET', finishes)),
    call('ZCARD', scheduled),
  }
end

operations['job maintenance'] = function()
  must_be('job')
  if is_paused then
    bring_along()
  end
  give_back_expired(setting('claim_timeout') * 1000)
  for _, id in ipairs(call('LRANGE', reserved, 0, -1)) do
    call('RPUSH', ids, id)
  end
  call('DEL', reserved)
  for _, id in ipairs(call('HKEYS', holders)) do
    if not call('ZSCORE', claimed, id) then
      end_claims(id)
    end
  end
  forget_running(0, -1)
  local waiting = {}
  for _, id in ipairs(call('LRANGE', ids, 0, -1)) do
    waiting[id] = true
  end
  for _, id in ipairs(call('HKEYS', items)) do
    local known = waiting[id] or call('ZSCORE', claimed, id) or call('SISMEMBER', stalled, id) == 1
    if not known and call('ZSCORE', published, id) then
      call('LPUSH', ids, id)
      tell('put', id)
    elseif not known then
      call('HDEL', items, id)
      call('HDEL', cancelled, id)
      call('HDEL', holders, id)
      tell('retracted', id)
    end
  end
  for _, id in ipairs(call('HKEYS', info)) do
    if call('HEXISTS', items, id) + call('HEXISTS', scheduled_items, id) == 0 then
      call('HDEL', info, id)
    end
  end
  return 1
end

local done, answer = pcall(once, function()
  return operations[name](unpack(ARGV))
end)
if not done then
  return redis.error_reply(type(answer) == 'table' and answer.err or answer)
end
return answer
