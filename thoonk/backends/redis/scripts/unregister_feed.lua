-- Contract: delete (the list of names)
-- KEYS: 1 feeds
-- ARGV: 1 feed name, 2 payload of the notice, 3 delfeed channel
-- Returns 1 when the name was on the list, else 0.
-- Notices: delfeed when it was on the list.
local removed = call('SREM', KEYS[1], ARGV[1])
if removed == 1 then
  call('PUBLISH', ARGV[3], ARGV[2])
end
return removed
