-- blurred.lua: the classical denoiser to compare with: a Gaussian blur, which knows nothing of pictures.
--
--   local y = drift.edit.blurred { image = noisy, kernel = 5, sigma = 2 }             -- [n,C,H,W]
--
-- kernel: pixels, odd; sigma: pixels. The edges are reflected.
local drift = require "drift"

return function(o)
  drift.accept("edit.blurred", o, { "image" }, { "generator", "kernel", "sigma" })
  local x = o.image
  if o.generator then x = o.generator:pictures(x, "edit.blurred") end
  if drift.type(x) ~= "tensor" or x.rank < 3 or x.rank > 4 then
    drift.fail "edit.blurred: image is a tensor [C,H,W] or [n,C,H,W]; a path needs a generator beside it, for the size"
  end
  local y = (x.rank == 3 and x:unsqueeze(0) or x):gaussian_blur { kernel_size = o.kernel or 5, sigma = o.sigma or 2 }
  return x.rank == 3 and y[1] or y
end
