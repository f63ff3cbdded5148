-- One effect per call. The last three words are the hash of answers (KEYS), the caller's
-- slot and the number of its call there (ARGV). A call that has been answered before gets
-- the same answer and does nothing; one that a later call has overtaken is refused.
local call = tonumber(table.remove(ARGV))
local slot = table.remove(ARGV)
local answers = table.remove(KEYS)

local function written(answer)
  if type(answer) == 'number' then
    return 'n' .. string.format('%.0f', answer)
  elseif type(answer) == 'string' then
    return 's' .. answer
  elseif type(answer[1]) == 'number' then
    return 'N' .. table.concat(answer, ',')
  end
  return 'S' .. table.concat(answer, '\0')
end

local function read(text)
  local kind, rest = string.sub(text, 1, 1), string.sub(text, 2)
  if kind == 'n' then
    return tonumber(rest)
  elseif kind == 's' then
    return rest
  end
  local list, separator = {}, kind == 'N' and ',' or '\0'
  local from = 1
  while from <= #rest do
    local to = string.find(rest, separator, from, true) or #rest + 1
    local element = string.sub(rest, from, to - 1)
    list[#list + 1] = kind == 'N' and tonumber(element) or element
    from = to + 1
  end
  return list
end

-- An entry is "time call answer". When a new slot comes, some of the others are looked at,
-- and those of callers that have been silent for ten minutes go.
local function keep(answer)
  local time = tonumber(redis.call('TIME')[1])
  local is_new = redis.call('HSET', answers, slot, time .. ' ' .. call .. ' ' .. written(answer))
  if is_new == 1 and redis.call('HLEN', answers) > 16 then
    for _, other in ipairs(redis.call('HRANDFIELD', answers, 4)) do
      local since = tonumber(string.match(redis.call('HGET', answers, other), '^%d+'))
      if since < time - 600 then
        redis.call('HDEL', answers, other)
      end
    end
  end
end

local function once(operation)
  local kept = redis.call('HGET', answers, slot)
  if kept then
    local number, answer = string.match(kept, '^%d+ (%d+) (.*)$')
    if tonumber(number) == call then
      return read(answer)
    elseif tonumber(number) > call then
      return redis.error_reply('OVERTAKEN a later call has been answered')
    end
  end
  local answer, nothing_done = operation()
  if not nothing_done and not (type(answer) == 'table' and answer.err) then
    keep(answer)
  end
  return answer
end
