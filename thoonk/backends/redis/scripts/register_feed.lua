-- Contract: create (the list of names)
--@ keys feeds
-- ARGV: 1 feed name, 2 payload of the notices, 3 newfeed channel, 4 conffeed channel
-- Returns 1 when the name was new, else 0.
-- Notices: newfeed and conffeed when it was new.
--@ include notify
if call('SISMEMBER', keys.feeds, ARGV[1]) == 1 then
  return 0
end
local refusal = muted(ARGV[3], ARGV[4])
if refusal then
  return refusal
end
call('SADD', keys.feeds, ARGV[1])
call('PUBLISH', ARGV[3], ARGV[2])
call('PUBLISH', ARGV[4], ARGV[2])
return 1
