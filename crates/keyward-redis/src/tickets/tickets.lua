-- Names new tickets, and lets each be used once (R14.1).
--
-- KEYS   one sorted set
-- ARGV   'issue'; eight bytes to call a generation by, if there is none
--        'spend' or 'peek'; of the ticket its generation, when it was made, that time and its chance (24 bytes), its lifetime, its
--        key; how many used tickets there may be
-- reply  to 'issue' the generation and the time; else 0 forgotten, 1 the first use, 2 used before, 3 no room for this key's
--
-- All times are in microseconds, by this server's clock.
--
-- The set holds each used ticket with the time at which it was made, and below them one entry: the generation, and the server's
-- replication id. It is one key, so that whatever takes used tickets away (eviction, expiry, FLUSHALL) takes the generation
-- too, and with it every ticket. A key for each of them, with a lifetime, was refused: one that is evicted could be used again.
-- A server that was started from a snapshot, or that took over from another one, may not know of the last uses. Its replication
-- id is another one, and what it kept does not count.
--
-- Above them is one entry for each of their keys, with the number of its used tickets, counted from a score that no time reaches. A
-- key may have as many as there is room left for others: one alone cannot take it all.

local LONGEST, CLEARED_AT_ONCE, NONE = 300000000, 16, 2 ^ 52
local FORGOTTEN, FIRST, BEFORE, NO_ROOM = 0, 1, 2, 3

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

local function count_of(holder)
  return tonumber(redis.call('ZSCORE', key, 'key:' .. holder) or NONE)
end

local minted, lifetime, holder, most = tonumber(ARGV[3]), math.min(tonumber(ARGV[5]), LONGEST), ARGV[6], tonumber(ARGV[7])
local entry = ARGV[4] .. holder
if ARGV[2] ~= generation then return FORGOTTEN end
-- How old one from the future is, nobody knows: the clock has stepped back.
if minted > now or now - minted >= lifetime or minted <= cleared then return FORGOTTEN end
if redis.call('ZSCORE', key, entry) then return BEFORE end
-- More than one at each use, so that they get fewer; not all, which would keep everybody waiting.
local last = cleared
for index = 4, #oldest, 2 do
  local time = tonumber(oldest[index])
  if now - time >= LONGEST then last = time end
end
local old = redis.call('ZRANGEBYSCORE', key, '(' .. digits(cleared), digits(last))
local counts = { [holder] = count_of(holder) }
for _, used in ipairs(old) do
  local of = string.sub(used, 25)
  counts[of] = (counts[of] or count_of(of)) - 1
end
local left = most - redis.call('ZCOUNT', key, '(' .. digits(cleared), '(' .. digits(NONE)) + #old
if counts[holder] - NONE >= left then return NO_ROOM end
if what == 'peek' then return FIRST end
-- Before all else: a server that takes no more writes refuses the first one.
redis.call('ZADD', key, ARGV[3], entry)
redis.call('ZREMRANGEBYSCORE', key, '(' .. digits(cleared), digits(last))
redis.call('ZADD', key, digits(last), lowest)
counts[holder] = counts[holder] + 1
for of, count in pairs(counts) do
  -- Nobody's, with which a connection is tried out, are not counted: so all that may have to be done is done there.
  if of ~= '' and count > NONE then
    redis.call('ZADD', key, digits(count), 'key:' .. of)
  else
    redis.call('ZREM', key, 'key:' .. of)
  end
end
return FIRST
