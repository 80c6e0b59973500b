-- cs180.lua: kind `cs180_unet`: three training steps of the CS180 UNet from given weights. Output and gradients of the
-- first step, losses, all weights and running statistics after 1 and 3 steps of Adam, and the output in evaluation
-- mode: with the stored state (out.eval_ref) and with our own (eval_chain). The robust.* values repeat it with Adam's
-- eps 1e-4. Run by parity.c, once for each such file.
local drift = require "drift"
local run = assert(loadfile(drift.home .. "/tests/parity/check.lua", "t"))()

local variants <const> = {
  uncond = {},
  time_add = { time = "add" },
  time_scale = { time = "scale" },
  class_time = { time = "add", class = "scale" },
  class_time_res = { time = "add", class = "scale", residual = true },
}

local function build(p, config)
  local v = variants[config.variant] or drift.fail("variant '%s' is not known", config.variant)
  local net = drift.models.cs180_unet { hidden = config.D, in_channels = config.in_channels, residual = v.residual,
                                        time = v.time, class = v.class,
                                        classes = v.class and config.num_classes or nil }
  net = drift.build(net, { seed = 0 })
  net:load_state_dict(p:inputs "param.")
  return net
end

-- What the network sees of in.WHICH.*: x [B,C,28,28] and the condition.
local function batch(p, which)
  local function flat(name, dtype)
    name = ("in.%s.%s"):format(which, name)
    return p:has(name) and p:input(name, dtype):flatten(0) or nil
  end
  return p:input(("in.%s.x"):format(which)), { time = flat "t", label = flat("c", "i32"), mask = flat "mask" }
end

local function evaluate(p, net)
  net:eval()
  return drift.no_grad(function() return net(batch(p, "eval")) end)
end

local function compare_state(p, net, prefix)
  for _, n in ipairs(net:named()) do p:compare(n.tensor, prefix .. n.path) end
end

local function chain(p, config, tag, eps)
  local net = build(p, config):train()
  local optimizer = drift.optimizer(drift.optim.adam { lr = config.lr, beta1 = config.betas[1], beta2 = config.betas[2],
                                                       eps = eps, weight_decay = config.weight_decay }, net)
  for k = 0, 2 do
    drift.scope(function()
      local y = net(batch(p, k))
      local loss = drift.op.mse(y, p:input(("in.%d.target"):format(k)), { reduction = "mean" })
      loss:backward()
      p:compare(loss, ("%sloss.%d"):format(tag == "" and "out." or tag, k))
      if k == 0 and tag == "" then
        p:compare(y, "out.y")
        for _, w in ipairs(net:parameters()) do p:compare(w.tensor.grad, "grad." .. w.path) end
      end
      optimizer:step()
    end)
    local after = ("%safter%d."):format(tag, k + 1)
    if p:any(after) then compare_state(p, net, after) end
  end
  local name = (tag == "" and "out." or tag) .. "eval_chain"
  if p:has(name) then p:compare(evaluate(p, net), name) end
end

run(function(p)
  local config = drift.json.decode(p.file.metadata.config)
  local as_ours = { optimizer = "adam", bn_eps = 1e-5, bn_momentum = 0.1, loss = "mse_mean" }
  for key, value in pairs(as_ours) do
    if config[key] ~= value then
      p:fail("config %s = %s is not what the network has (%s)", key, tostring(config[key]), tostring(value))
    end
  end
  chain(p, config, "", config.adam_eps)
  chain(p, config, "robust.", config.robust_adam_eps)
  if p:has "out.eval_ref" then
    local net = build(p, config)
    local state = {}
    for _, n in ipairs(net:named()) do state[n.path] = p:input("after3." .. n.path) end
    net:load_state_dict(state)
    p:compare(evaluate(p, net), "out.eval_ref")
  end
end)
