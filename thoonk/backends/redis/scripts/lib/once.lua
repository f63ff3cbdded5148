-- One effect per call. A script that includes this is given the hash of answers as its last key,
-- and the caller's session and the number of its call there as its last arguments. For a call that
-- has been answered before, `answered` is that answer; for one that a later call has overtaken, it
-- is a refusal. Then the script returns it and does nothing. Otherwise it returns what it passes
-- through `remember`.
--@ include clock
local session, call_number, answers = ARGV[#ARGV - 1], ARGV[#ARGV], KEYS[#KEYS]
ARGV[#ARGV], KEYS[#KEYS] = nil, nil
ARGV[#ARGV] = nil
local answered

-- What becomes of an entry whose time says that it is old: it is marked with the present time
-- and a 0 before it (returned), and when it is found old again with that mark, it goes ('').
-- So a step of the clock throws nothing away. A time that has yet to come counts as now, and
-- so the entry is marked, too. False while it is young.
local function outlived(entry, time)
  local mark, since = string.match(entry, '^(0?)(%d+) %d+ ')
  since = tonumber(since)
  if not since then
    return '' -- no entry of ours
  elseif since <= time and since >= time - 600 then
    return false
  elseif mark == '0' and since <= time then
    return ''
  end
  return '0' .. string.format('%.0f', time)
end

-- Look at some entries of others, and remove those of callers that have been silent for ten minutes;
-- not at once, for it may be that the clock has gone on by a step: see `outlived`.
local function tidy(time)
  if call('HLEN', answers) <= 16 then
    return
  end
  for _, other in ipairs(call('HRANDFIELD', answers, 4)) do
    local entry = call('HGET', answers, other)
    local mark = outlived(entry, time)
    if mark == '' then
      call('HDEL', answers, other)
    elseif mark then
      call('HSET', answers, other, mark .. string.match(entry, ' .*$'))
    end
  end
end

-- An answer as text: a number, a text, or a list of either.
local function remember(answer)
  local text
  if answer == 1 then
    text = 'n1' -- which most are
  elseif type(answer) == 'number' then
    text = string.format('n%.0f', answer)
  elseif type(answer) == 'string' then
    text = 's' .. answer
  elseif type(answer[1]) == 'number' then
    text = 'N' .. table.concat(answer, ',')
  else
    text = 'S' .. table.concat(answer, '\0')
  end
  -- An entry is "time call answer".
  clock = clock or call('TIME')
  local time = clock[1]
  if call('HSET', answers, session, time .. ' ' .. call_number .. ' ' .. text) == 1 then
    tidy(tonumber(time))
  end
  return answer
end

local kept = call('HGET', answers, session)
if not kept then
  --@ ask tidy
else
  local number = tonumber(string.match(kept, '^%d+ (%d+)')) or -1
  if number > tonumber(call_number) then
    answered = redis.error_reply('OVERTAKEN a later call has been answered')
  elseif number == tonumber(call_number) then
    local kind, rest = string.match(kept, '^%d+ %d+ (.)(.*)$')
    if kind == 'n' then
      answered = tonumber(rest)
    elseif kind == 's' then
      answered = rest
    else
      answered = {}
      for element in string.gmatch(rest, kind == 'N' and '[^,]+' or '%Z+') do
        answered[#answered + 1] = kind == 'N' and tonumber(element) or element
      end
    end
  end
end
