-- test.lua: 1 at first, half of the way down in the middle, `to` at the end; and up before that with warmup. make test
local drift = require "drift"

local function close(a, b) assert(math.abs(a - b) < 1e-12, ("%g, not %g"):format(a, b)) end

local decay = drift.decay.my_decay { to = 0.2 }
close(decay:factor(0, 10), 1)
close(decay:factor(5, 10), 0.6)
close(decay:factor(10, 10), 0.2)

local warm = drift.decay.my_decay { to = 0.2, warmup = 4 }
close(warm:factor(0, 10), 1 / 8)
close(warm:factor(2, 10), 1 / 2)
close(warm:factor(4, 10), 1)
close(warm:factor(7, 10), 0.6)
print "test.lua: all is well"
