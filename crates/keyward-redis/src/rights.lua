-- All that takes may have to do, on a key of its own: so that it is known before the first request what the user may not do, what the
-- server does not have, and that nothing can be written there.

-- Removes what is there, be it what it may.
redis.call('PEXPIRE', KEYS[1], 0)
redis.call('TIME')
redis.call('HSET', KEYS[1], 'one', '1', 'other', '2')
redis.call('HMGET', KEYS[1], 'one')
redis.call('HGETALL', KEYS[1])
redis.call('HDEL', KEYS[1], 'one')
redis.call('PEXPIRE', KEYS[1], 0)
return 1
