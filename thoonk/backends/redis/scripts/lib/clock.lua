-- The server's time, asked for once in a step: seconds, and microseconds beyond.
local clock
local function time_of_server()
  clock = clock or redis.call('TIME')
  return clock
end

-- The server's time in whole milliseconds.
local function now()
  local time = time_of_server()
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Numbers as text that loses nothing (tostring would keep 14 digits).
local function text_of(number)
  return string.format('%.17g', number)
end

-- Some peers write times in seconds; ours, and the contract's, are milliseconds.
local function in_milliseconds(time)
  if time < 1e11 then
    return time * 1000
  end
  return time
end
