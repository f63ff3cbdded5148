-- The score that comes after another one in a feed: one step is 1/1024 ms, or the smallest that
-- still changes a score that large.
local function after(previous)
  local step = 1 / 1024
  while previous + step == previous and step < previous do
    step = step * 2
  end
  return previous + step
end
