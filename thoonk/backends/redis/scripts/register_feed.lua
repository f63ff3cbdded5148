-- Contract: create (the list of names)
-- KEYS: 1 feeds
-- ARGV: 1 feed name, 2 payload of the notices, 3 newfeed channel, 4 conffeed channel
-- Returns 1 when the name was new, else 0.
-- Notices: newfeed and conffeed when it was new.
local added = call('SADD', KEYS[1], ARGV[1])
if added == 1 then
  call('PUBLISH', ARGV[3], ARGV[2])
  call('PUBLISH', ARGV[4], ARGV[2])
end
return added
