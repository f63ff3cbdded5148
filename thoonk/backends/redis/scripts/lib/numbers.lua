-- Numbers as text that loses nothing (tostring would keep 14 digits).
local function text_of(number)
  return string.format('%.17g', number)
end

-- The number that a score is. Not every Lua reads infinity.
local function number_of(score)
  return tonumber(score) or (string.sub(score, 1, 1) == '-' and -math.huge or math.huge)
end

-- Some peers write times in seconds; ours, and the contract's, are milliseconds.
local function in_milliseconds(time)
  if time < 1e11 then
    return time * 1000
  end
  return time
end
