-- evaluation_images.lua: the images that a measurement is made on, from its options: images = [N,C,H,W] with labels =
-- [N], a list or nil; or data = a data set, n of whose test images are taken, evenly spaced, with their labels (none
-- where labels = false).
--   local images, labels = drift.evaluation_images(o, 500)          500: n where the options have none
local drift = require "drift"

return function(o, n)
  if o.images then
    local labels = type(o.labels) == "table" and drift.tensor(o.labels, "i32") or o.labels or nil
    return o.images, labels and labels:cast "i32"
  end
  local split, indices = drift.instance(o.data, "dataset").test, {}
  n = math.min(o.n or n, #split)
  for i = 1, n do indices[i] = (i - 1) * #split // n + 1 end      -- in MNIST the first half is easier
  local images, labels = split:batch(indices)
  return images, o.labels ~= false and labels or nil
end
