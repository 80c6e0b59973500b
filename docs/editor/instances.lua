---@meta _
-- What instances can do, kind by kind, and so specs, which stand for theirs: process:coef(t), data.train. Written by
-- hand; a test holds every name here to the program. For editors alone: the program never loads it.

---@class drift.spec.net: drift.spec
---@field [string] any # what the network has: children, methods, weights
---@overload fun(x: drift.tensor, ...: any): any

---@class drift.spec.block
---@field [string] any
---@overload fun(x: drift.tensor, ...: any): any

---@class drift.spec.conditioning
---@field [string] any

---@class drift.spec.process
---@field coef fun(self: any, t: number): table<string, number> # alpha, sigma, dalpha, dsigma, p, q, c_in, time, weight
---@field range fun(self: any): number, number, integer # t_noise, t_data, steps
---@field time fun(self: any, ratio: number): number # the t where sigma/alpha is that

---@class drift.spec.time_sampling
---@field draw fun(self: any, process: drift.spec.process, u: number): number

---@class drift.spec.weighting
---@field weight fun(self: any, process: drift.spec.process, t: number): number # of the output's squared error

---@class drift.spec.coupling
---@field pair fun(self: any, x0: drift.tensor, eps: drift.tensor, label?: drift.tensor): drift.tensor # eps, reordered

---@class drift.spec.schedule
---@field beta fun(self: any, i: integer, T: integer): number # i from 0

---@class drift.spec.decay
---@field factor fun(self: any, epoch: number, epochs: integer): number

---@class drift.spec.ema
---@field decay fun(self: any, step: integer): number # after optimizer step 1, 2, ...

---@class drift.spec.view
---@field apply fun(self: any, x: drift.tensor): drift.tensor # [B,C,H,W] or [C,H,W]
---@field invert fun(self: any, y: drift.tensor): drift.tensor

---@class drift.spec.filter
---@field apply fun(self: any, x: drift.tensor): drift.tensor # [B,C,H,W] or [C,H,W]

---@class drift.spec.clip
---@field apply fun(self: any, x0: drift.tensor): drift.tensor

---@class drift.spec.metric
---@field reset fun(self: any)
---@field reference fun(self: any, real: drift.tensor, split: string) # "test" or "train"; before samples
---@field update fun(self: any, output: drift.tensor, label: any)
---@field samples fun(self: any): integer
---@field result fun(self: any, options?: table): table[] # { name=, value=, low=, high= }, ...
---@field needs fun(self: any): table # { space=, train=, test= }

---@class drift.spec.dataset
---@field train any # a split: #split, split[i], split:label(i), split:batch{...}
---@field test any
---@field loader fun(self: any, options: table): any # split, batch, seed, shuffle, drop_last, limit

---@class drift.spec.tokenizer
---@field encode fun(self: any, text: string, options?: { length: integer }): integer[], integer[] # ids, mask
---@field decode fun(self: any, ids: integer[]): string
---@field normalize fun(self: any, text: string): string
---@field size fun(self: any): integer
---@field special fun(self: any): table<string, integer> # pad, eos, unk
