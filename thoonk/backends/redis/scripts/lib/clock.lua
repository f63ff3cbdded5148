-- The server's time in whole milliseconds, asked for once in a step.
local clock
local function now()
  clock = clock or call('TIME')
  return clock[1] * 1000 + math.floor(clock[2] / 1000)
end
