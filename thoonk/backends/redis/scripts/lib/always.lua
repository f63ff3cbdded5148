-- In place of once.lua where no answer is ever lost, so that no call is repeated.
--@ include clock
local answered
local function remember(answer)
  return answer
end
