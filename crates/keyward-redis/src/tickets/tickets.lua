-- Names new tickets, and lets each be used once (R14.1).
--
-- KEYS   one sorted set
-- ARGV   'issue'; eight bytes to call a generation by, if there is none
--        'spend' or 'peek'; of the ticket its generation, when it was made, that time and its chance (24 bytes), its lifetime
-- reply  to 'issue' the generation and the time; else 0 forgotten, 1 the first use, 2 used before
--
-- All times are in microseconds, by this server's clock.
--
-- The set holds each used ticket with the time at which it was made, and below them one entry: the generation, and the server's
-- replication id. It is one key, so that whatever takes used tickets away (eviction, expiry, FLUSHALL) takes the generation
-- too, and with it every ticket. A key for each of them, with a lifetime, was refused: one that is evicted could be used again.
-- A server that was started from a snapshot, or that took over from another one, may not know of the last uses. Its replication
-- id is another one, and what it kept does not count.

local LONGEST, CLEARED_AT_ONCE = 300000000, 16
local FORGOTTEN, FIRST, BEFORE = 0, 1, 2

-- Not tostring, which keeps 14 digits.
local function digits(number)
  return string.format('%.0f', number)
end

local key, what = KEYS[1], ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local replication = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
if not replication then return redis.error_reply('NOREPLID INFO replication has no master_replid') end

-- The lowest entry, and the oldest used tickets. Its score is the time of the last one that was cleared away: of those up to it
-- nothing is known.
local oldest = redis.call('ZRANGE', key, 0, CLEARED_AT_ONCE, 'WITHSCORES')
local lowest, generation, cleared = oldest[1], nil, nil
if lowest and string.sub(lowest, 9) == replication then
  generation, cleared = string.sub(lowest, 1, 8), tonumber(oldest[2])
end

if what == 'issue' then
  -- Behind what was cleared, where the clock has stepped back to, every new ticket would count as forgotten.
  if not generation or now <= cleared then
    generation = ARGV[2]
    redis.call('UNLINK', key)
    redis.call('ZADD', key, 0, generation .. replication)
  end
  -- Longer than this ticket, and so than all before it.
  redis.call('PEXPIRE', key, digits(LONGEST / 1000 + 1000))
  return { generation, now }
end

local minted, entry, lifetime = tonumber(ARGV[3]), ARGV[4], math.min(tonumber(ARGV[5]), LONGEST)
if ARGV[2] ~= generation then return FORGOTTEN end
-- How old one from the future is, nobody knows: the clock has stepped back.
if minted > now or now - minted >= lifetime or minted <= cleared then return FORGOTTEN end
if redis.call('ZSCORE', key, entry) then return BEFORE end
if what == 'peek' then return FIRST end
-- Before all else: a server that takes no more writes refuses the first one.
redis.call('ZADD', key, ARGV[3], entry)
-- More than one at each use, so that they get fewer; not all, which would keep everybody waiting.
local last = cleared
for index = 4, #oldest, 2 do
  local time = tonumber(oldest[index])
  if now - time >= LONGEST then last = time end
end
redis.call('ZREMRANGEBYSCORE', key, '(' .. digits(cleared), digits(last))
redis.call('ZADD', key, digits(last), lowest)
return FIRST
