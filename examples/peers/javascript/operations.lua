-- Every operation of contract.txt that writes, as one atomic step.
-- KEYS: the feed's keys, in the order of the names below; then keys of results.
-- ARGV: the feed's name, the operation, slot and call ('' and '' for none), then its own.

local config, ids, items, publishes, idincr, published, claimed, stalled, cancelled, finishes,
  reserved, holders, tokens, results, answers = unpack(KEYS)
local FIRST_RESULT = 16
local F = table.remove(ARGV, 1)
local name = table.remove(ARGV, 1)
local slot = table.remove(ARGV, 1)
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
  return math.max(0, tonumber(call('HGET', config, field) or '') or 0)
end

local function must_fit(item)
  local limit = setting('max_item_size')
  if limit > 0 and #item > limit then
    refuse('TOOLARGE')
  end
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

local function let_go(id)
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
  while #new < count do
    local id = call('RPOP', reserved) or call('RPOP', ids)
    if not id then
      break
    end
    local item = call('HGET', items, id)
    if item then
      call('ZADD', claimed, time, id)
      call('HSET', holders, id, token .. ' ' .. time)
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

-- Calls back for each claim that is older than so many ms, oldest first.
local function each_expired(timeout, back)
  local time = now()
  local rows = call('ZRANGEBYSCORE', claimed, '-inf', text(time - timeout), 'WITHSCORES')
  for index = 1, #rows, 2 do
    local since = milliseconds(rows[index + 1])
    if since <= time - timeout then
      back(rows[index])
    else
      call('ZADD', claimed, text(since), rows[index])
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

local function give_back(id)
  let_go(id)
  local failures, limit = call('HINCRBY', cancelled, id, 1), setting('max_failures')
  if limit > 0 and failures >= limit then
    call('HDEL', cancelled, id)
    call('ZREM', published, id)
    call('SADD', stalled, id)
  else
    call('LPUSH', ids, id)
  end
end

-- --- the operations ---------------------------------------------------------------------------

local operations = {}

operations['create'] = function(...)
  if call('HEXISTS', config, 'type') == 1 then
    return 0, 'nothing done'
  end
  call('HSET', config, ...)
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

operations['snapshot'] = function(shape, token)
  must_be(shape)
  local order = shape == 'feed' and call('ZRANGE', ids, 0, -1) or call('LRANGE', ids, 0, -1)
  local found = {}
  for _, id in ipairs(order) do
    table.insert(found, id)
    table.insert(found, call('HGET', items, id) or '')
  end
  call('PUBLISH', 'feed.marker:' .. token, F)
  return found
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
      local step = 1 / 1024
      while last + step == last do
        step = step * 2
      end
      score = last + step
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

operations['sorted insert'] = function(item, side, neighbour, position)
  must_be('sorted')
  must_fit(item)
  if neighbour ~= '' then
    must_have(neighbour)
  end
  local id = text(call('INCR', idincr))
  call('HSET', items, id, item)
  call('INCR', publishes)
  say('feed.publish', id, item)
  place(id, side, neighbour, position)
  return id
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

local CONFIRM_WITHIN = 10000

operations['queue take'] = function(token, count)
  must_be('queue')
  local late = {}
  each_expired(CONFIRM_WITHIN, function(id)
    let_go(id)
    table.insert(late, 1, id)
  end)
  for _, id in ipairs(late) do
    call('RPUSH', ids, id)
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
    let_go(id)
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
      let_go(id)
      call('HSET', items, id, item)
      call('RPUSH', ids, id)
    end
  end
  return 1
end

operations['release'] = function(token)
  must_be('queue', 'job')
  local taken = split(call('HGET', tokens, token))
  for index = #taken, 1, -1 do
    if is_held(taken[index], token) then
      let_go(taken[index])
      call('RPUSH', ids, taken[index])
    end
  end
  call('HDEL', tokens, token)
  return 1
end

operations['job put'] = function(id, item, push)
  must_be('job')
  must_fit(item)
  call('HSET', items, id, item)
  call('INCR', publishes)
  call('ZADD', published, text(now()), id)
  call(push, ids, id)
  return 1
end

operations['job get'] = function(token, count)
  must_be('job')
  local timeout = setting('claim_timeout') * 1000
  if timeout > 0 then
    each_expired(timeout, give_back)
  end
  local taken = take(token, tonumber(count))
  local failures = {}
  for index = 1, #taken, 2 do
    table.insert(failures, tonumber(call('HGET', cancelled, taken[index]) or 0))
  end
  return {timeout > 0 and wake(timeout) or -1, taken, failures}
end

operations['job extend'] = function(id, token)
  must_be('job')
  must_be_held(id, token)
  local entry = call('HGET', holders, id)
  local holder = entry and string.match(entry, '^(.*) ')
  local counts = holder and is_held(id, holder)
  local time = text(now())
  call('ZADD', claimed, time, id)
  if counts then
    call('HSET', holders, id, holder .. ' ' .. time)
  end
  return 1
end

-- For each job: id, token, kind of result ('' for none), result, seconds to keep it ('' as
-- configured).
operations['job finish'] = function(...)
  local jobs = {...}
  must_be('job')
  for index = 1, #jobs, 5 do
    must_be_held(jobs[index], jobs[index + 1])
  end
  local time = now()
  local configured = tonumber(call('HGET', config, 'result_timeout') or '') or 86400
  for index = 1, #jobs, 5 do
    local id, _, kind, result, seconds = unpack(jobs, index, index + 4)
    let_go(id)
    call('HDEL', cancelled, id)
    call('ZREM', published, id)
    call('INCR', finishes)
    if kind ~= '' then
      local key = KEYS[FIRST_RESULT + (index - 1) / 5]
      local keep = (tonumber(seconds) or configured) * 1000
      call('DEL', key)
      call('RPUSH', key, kind, call('HGET', items, id) or '', result)
      if keep > 0 then
        call('PEXPIRE', key, string.format('%.0f', keep))
      end
      call('ZADD', results, keep > 0 and text(time + keep) or '+inf', id)
      say('job.finish', id, result)
    end
    call('HDEL', items, id)
  end
  call('ZREMRANGEBYSCORE', results, '-inf', '(' .. text(time))
  return 1
end

operations['job cancel'] = function(id, token)
  must_be('job')
  must_be_held(id, token)
  give_back(id)
  return 1
end

operations['job stall'] = function(id, token)
  must_be('job')
  must_be_held(id, token)
  let_go(id)
  call('HDEL', cancelled, id)
  call('ZREM', published, id)
  call('SADD', stalled, id)
  return 1
end

operations['job retry'] = function(id)
  must_be('job')
  if call('SREM', stalled, id) == 0 then
    refuse('NOTSTALLED')
  end
  call('LPUSH', ids, id)
  call('ZADD', published, text(now()), id)
  return 1
end

operations['job retract'] = function(id)
  must_be('job')
  local removed = call('HDEL', items, id)
  call('HDEL', cancelled, id)
  call('ZREM', published, id)
  call('SREM', stalled, id)
  let_go(id)
  if call('LREM', ids, 1, id) == 0 then
    call('LREM', reserved, 1, id)
  end
  return removed
end

operations['job counts'] = function()
  must_be('job')
  return {
    call('LLEN', ids) + call('LLEN', reserved), call('ZCARD', claimed), call('SCARD', stalled),
    tonumber(call('GET', finishes) or 0),
  }
end

operations['job maintenance'] = function()
  must_be('job')
  local timeout = setting('claim_timeout') * 1000
  if timeout > 0 then
    each_expired(timeout, give_back)
  end
  for _, id in ipairs(call('LRANGE', reserved, 0, -1)) do
    call('RPUSH', ids, id)
  end
  call('DEL', reserved)
  for _, id in ipairs(call('HKEYS', holders)) do
    if not call('ZSCORE', claimed, id) then
      let_go(id)
    end
  end
  local waiting = {}
  for _, id in ipairs(call('LRANGE', ids, 0, -1)) do
    waiting[id] = true
  end
  for _, id in ipairs(call('HKEYS', items)) do
    local known = waiting[id] or call('ZSCORE', claimed, id) or call('SISMEMBER', stalled, id) == 1
    if not known and call('ZSCORE', published, id) then
      call('LPUSH', ids, id)
    elseif not known then
      call('HDEL', items, id)
      call('HDEL', cancelled, id)
      call('HDEL', holders, id)
    end
  end
  return 1
end

-- --- calls that are repeated ----------------------------------------------------------------

-- An answer is a number, a text, or a list of numbers.
local function written(answer)
  if type(answer) == 'number' then
    return 'n' .. answer
  elseif type(answer) == 'string' then
    return 's' .. answer
  end
  return 'N' .. table.concat(answer, ',')
end

local function read(entry)
  local kind, rest = string.sub(entry, 1, 1), string.sub(entry, 2)
  if kind == 'n' then
    return tonumber(rest)
  elseif kind == 's' then
    return rest
  end
  local list = {}
  for part in string.gmatch(rest, '[^,]+') do
    table.insert(list, tonumber(part))
  end
  return list
end

local function once(operation)
  local entry = call('HGET', answers, slot)
  if entry then
    local last, answer = string.match(entry, '^%d+ (%d+) (.*)$')
    if tonumber(last) == number then
      return read(answer)
    elseif tonumber(last) > number then
      refuse('OVERTAKEN')
    end
  end
  local answer, nothing_done = operation(unpack(ARGV))
  if nothing_done then
    return answer
  end
  local time = tonumber(call('TIME')[1])
  local entry_is_new = call('HSET', answers, slot, time .. ' ' .. number .. ' ' .. written(answer))
  if entry_is_new == 1 and call('HLEN', answers) > 16 then
    for _, other in ipairs(call('HRANDFIELD', answers, 4)) do
      if tonumber(string.match(call('HGET', answers, other), '^%d+')) < time - 600 then
        call('HDEL', answers, other)
      end
    end
  end
  return answer
end

local done, answer
if slot == '' then
  done, answer = pcall(operations[name], unpack(ARGV))
else
  done, answer = pcall(once, operations[name])
end
if not done then
  return redis.error_reply(type(answer) == 'table' and answer.err or answer)
end
return answer
