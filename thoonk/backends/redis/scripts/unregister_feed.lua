-- Contract: delete (the list of names)
--@ keys feeds
-- ARGV: 1 feed name, 2 payload of the notice, 3 delfeed channel
-- Returns 1 when the name was on the list, else 0.
-- Notices: delfeed when it was on the list.
--@ include notify
if call('SISMEMBER', keys.feeds, ARGV[1]) == 0 then
  return 0
end
local refusal = muted(ARGV[3])
if refusal then
  return refusal
end
call('SREM', keys.feeds, ARGV[1])
call('PUBLISH', ARGV[3], ARGV[2])
return 1
