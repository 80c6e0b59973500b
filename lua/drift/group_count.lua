-- group_count.lua: how many groups a GroupNorm has, as the blocks choose it: the largest divisor of the channels up to
-- `most` that leaves 4 channels or more to a group. One channel alone would lose what an embedding added to it.
return function(channels, most)
  local groups = math.max(1, math.min(channels // 4, most))
  while channels % groups ~= 0 do groups = groups - 1 end
  return groups
end
