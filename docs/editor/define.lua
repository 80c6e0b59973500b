---@meta _
-- define.lua: components written in Lua, drift.define.KIND { ... } (docs/components-in-lua.md), for editors. Written by hand; a
-- test compares it with what there is.

---A row of params: { "width", "int", default = 8, min = 1, max = 64, doc = "..." }
---@class drift.define.row
---@field [1] string
---@field [2] "int"|"real"|"bool"|"string"|"enum"|"ints"|"reals"|"function"|"component"|"components"|"tensor"
---@field default? any
---@field required? boolean
---@field min? number
---@field max? number
---@field doc? string
---@field choices? string # of an enum: "a|b"
---@field signature? string # of a function: "real(real,int)"
---@field kind? string # of components
---@field dtype? "f32"|"i32" # of a tensor

---@class drift.define.coef
---@field alpha number
---@field sigma number
---@field dalpha number
---@field dsigma number
---@field p number
---@field q number
---@field c_in? number
---@field time? number
---@field weight? number

---@class drift.define.optim_state
---@field n integer
---@field param drift.tensor[]
---@field grad drift.tensor[]
---@field slot table<string, drift.tensor[]>
---@field step integer
---@field lr number
---@field lr_and_step drift.tensor

---@class drift.define.backward
---@field input drift.tensor[]
---@field output drift.tensor[]
---@field grad drift.tensor[]
---@field need boolean[]
---@field attr table

---@class drift.define.builder
---@field weight fun(self: drift.define.builder, name: string, shape: integer[], init?: number|table): drift.tensor
---@field buffer fun(self: drift.define.builder, name: string, shape: integer[], fill?: number, dtype?: string): drift.tensor
---@field random_buffer fun(self: drift.define.builder, name: string, shape: integer[], init?: number|table): drift.tensor
---@field child fun(self: drift.define.builder, name: string, block: any): drift.define.part

---@class drift.define.part
---@overload fun(x: drift.tensor, ...: any): drift.tensor
---@field weight fun(self: drift.define.part, name: string): drift.tensor?

---@class drift.define.context
---@field training fun(self: drift.define.context): boolean
---@field input fun(self: drift.define.context, i: integer): drift.tensor?
---@field rng fun(self: drift.define.context, purpose: string): drift.define.stream
---@field modulate fun(self: drift.define.context, site: integer, h: drift.tensor): drift.tensor
---@field gate fun(self: drift.define.context, site: integer, h: drift.tensor): drift.tensor

---@class drift.define.stream
---@field noise_like fun(self: drift.define.stream, x: drift.tensor, draw?: integer): drift.tensor
---@field rand_like fun(self: drift.define.stream, x: drift.tensor, draw?: integer): drift.tensor
---@field uniform fun(self: drift.define.stream, element?: integer, draw?: integer): number

---@class drift.define.process_seen
---@field coef fun(self: drift.define.process_seen, t: number): drift.define.coef
---@field range fun(self: drift.define.process_seen): number, number, integer
---@field time fun(self: drift.define.process_seen, ratio: number): number
---@field draw_t fun(self: drift.define.process_seen, u: number): number

---@class drift.define.model
---@field eval fun(self: drift.define.model, x: drift.tensor, t: number): drift.tensor
---@field eval_x0 fun(self: drift.define.model, x: drift.tensor, t: number): drift.tensor
---@field eval_eps fun(self: drift.define.model, x: drift.tensor, t: number): drift.tensor
---@field predict fun(self: drift.define.model, x: drift.tensor, t: number, cond?: any): drift.tensor
---@field predict_pair fun(self: drift.define.model, x: drift.tensor, t: number, cond?: any): drift.tensor, drift.tensor
---@field predict_by fun(self: drift.define.model, network: string, x: drift.tensor, t: number, cond?: any): drift.tensor
---@field x0_to_eps fun(self: drift.define.model, x: drift.tensor, x0: drift.tensor, t: number): drift.tensor
---@field singular fun(self: drift.define.model, t: number): boolean
---@field coef fun(self: drift.define.model, t: number): drift.define.coef
---@field range fun(self: drift.define.model): number, number, integer
---@field process fun(self: drift.define.model): drift.define.process_seen
---@field recall fun(self: drift.define.model, name: string): drift.tensor?
---@field remember fun(self: drift.define.model, name: string, t: drift.tensor)
---@field variance fun(self: drift.define.model): drift.tensor?
---@field set_variance fun(self: drift.define.model, v?: drift.tensor)
---@field step fun(self: drift.define.model): integer
---@field cond_null fun(self: drift.define.model, cond?: any): any
---@field cond_count fun(self: drift.define.model): integer
---@field cond_at fun(self: drift.define.model, i: integer): any
---@field cond_size fun(self: drift.define.model, cond: any): integer
---@field cond_part fun(self: drift.define.model, cond: any, i: integer, n: integer): any
---@field cond_image fun(self: drift.define.model, cond: any): drift.tensor?
---@field cond_with_image fun(self: drift.define.model, cond: any, image: drift.tensor): any
---@field cond_map_image fun(self: drift.define.model, cond: any, map: fun(image: drift.tensor?): drift.tensor?): any

---@class drift.define.block.arguments
---@field name string
---@field doc string # one line
---@field params? drift.define.row[]
---@field replace? boolean # take the place of an earlier one
---@field create? fun(self: table, b: drift.define.builder)
---@field forward fun(self: table, x: drift.tensor, ctx: drift.define.context): drift.tensor
---@field example? string
---@field example_args? table

---@class drift.define.clip.arguments
---@field name string
---@field doc string # one line
---@field params? drift.define.row[]
---@field replace? boolean # take the place of an earlier one
---@field apply fun(self: table, x0: drift.tensor): drift.tensor
---@field create? fun(self: table)

---@class drift.define.conditioning.arguments
---@field name string
---@field doc string # one line
---@field params? drift.define.row[]
---@field replace? boolean # take the place of an earlier one
---@field create? fun(self: table, b: drift.define.builder)
---@field embed fun(self: table, ctx: drift.define.context, cond: table): table
---@field modulate fun(self: table, ctx: drift.define.context, site: integer, h: drift.tensor, e: table): drift.tensor
---@field gate? fun(self: table, ctx: drift.define.context, site: integer, h: drift.tensor, e: table): drift.tensor

---@class drift.define.coupling.arguments
---@field name string
---@field doc string # one line
---@field params? drift.define.row[]
---@field replace? boolean # take the place of an earlier one
---@field pair fun(self: table, x0: drift.tensor, eps: drift.tensor, label: drift.tensor?): integer[]

---@class drift.define.dataset.arguments
---@field name string
---@field doc string # one line
---@field params? drift.define.row[]
---@field replace? boolean # take the place of an earlier one
---@field open? fun(self: table)
---@field close? fun(self: table)
---@field info fun(self: table, split: "train"|"test"): table
---@field read fun(self: table, split: "train"|"test", index: integer): drift.tensor, integer?
---@field class_name? fun(self: table, label: integer): string
---@field noise? fun(self: table, split: "train"|"test", index: integer): drift.tensor

---@class drift.define.decay.arguments
---@field name string
---@field doc string # one line
---@field params? drift.define.row[]
---@field replace? boolean # take the place of an earlier one
---@field factor fun(self: table, epoch: number, epochs: integer): number

---@class drift.define.ema.arguments
---@field name string
---@field doc string # one line
---@field params? drift.define.row[]
---@field replace? boolean # take the place of an earlier one
---@field decay fun(self: table, step: integer): number

---@class drift.define.filter.arguments
---@field name string
---@field doc string # one line
---@field params? drift.define.row[]
---@field replace? boolean # take the place of an earlier one
---@field apply fun(self: table, x: drift.tensor): drift.tensor
---@field create? fun(self: table)
---@field keeps_constants? boolean

---@class drift.define.guidance.arguments
---@field name string
---@field doc string # one line
---@field params? drift.define.row[]
---@field replace? boolean # take the place of an earlier one
---@field eval fun(self: table, f: drift.define.model, x: drift.tensor, t: number, cond: any): drift.tensor

---@class drift.define.metric.arguments
---@field name string
---@field doc string # one line
---@field params? drift.define.row[]
---@field replace? boolean # take the place of an earlier one
---@field reset fun(self: table)
---@field reference? fun(self: table, real: drift.tensor, split: "train"|"test")
---@field update fun(self: table, output: drift.tensor, label: drift.tensor?)
---@field samples fun(self: table): integer
---@field evaluate fun(self: table, rows: integer[]): number|number[]
---@field destroy? fun(self: table)
---@field space? "logits"|"features"|"pixels"
---@field references? string[]
---@field values? table[]

---@class drift.define.op.arguments
---@field name string
---@field doc string # one line
---@field params? drift.define.row[]
---@field replace? boolean # take the place of an earlier one
---@field compose fun(...: any): drift.tensor, ...
---@field infer? fun(...: any): table, ...
---@field backward? fun(b: drift.define.backward): drift.tensor?, ...
---@field inputs? integer
---@field optional? integer
---@field outputs? integer
---@field nondiff? boolean
---@field save_inputs? integer[]
---@field save_outputs? integer[]

---@class drift.define.optim.arguments
---@field name string
---@field doc string # one line
---@field params? drift.define.row[]
---@field replace? boolean # take the place of an earlier one
---@field step fun(self: table, s: drift.define.optim_state)
---@field slots? string[]
---@field replay? boolean

---@class drift.define.process.arguments
---@field name string
---@field doc string # one line
---@field params? drift.define.row[]
---@field replace? boolean # take the place of an earlier one
---@field create? fun(self: table)
---@field destroy? fun(self: table)
---@field draw_t fun(self: table, u: number): number
---@field coef fun(self: table, t: number): drift.define.coef
---@field range fun(self: table): number, number, integer?
---@field time? fun(self: table, ratio: number): number

---@class drift.define.sampler.arguments
---@field name string
---@field doc string # one line
---@field params? drift.define.row[]
---@field replace? boolean # take the place of an earlier one
---@field step fun(self: table, f: drift.define.model, x: drift.tensor, t: number, t_next: number, rng: drift.define.stream): drift.tensor
---@field grid? fun(self: table, f: drift.define.model, n: integer): number[]
---@field order? integer
---@field row_by_row? boolean

---@class drift.define.schedule.arguments
---@field name string
---@field doc string # one line
---@field params? drift.define.row[]
---@field replace? boolean # take the place of an earlier one
---@field beta fun(self: table, i: integer, T: integer): number

---@class drift.define.time_sampling.arguments
---@field name string
---@field doc string # one line
---@field params? drift.define.row[]
---@field replace? boolean # take the place of an earlier one
---@field draw fun(self: table, process: drift.define.process_seen, u: number): number

---@class drift.define.timesteps.arguments
---@field name string
---@field doc string # one line
---@field params? drift.define.row[]
---@field replace? boolean # take the place of an earlier one
---@field lay fun(self: table, f: drift.define.model, n: integer): number[]

---@class drift.define.tokenizer.arguments
---@field name string
---@field doc string # one line
---@field params? drift.define.row[]
---@field replace? boolean # take the place of an earlier one
---@field open? fun(self: table)
---@field close? fun(self: table)
---@field info fun(self: table): table
---@field encode fun(self: table, text: string): integer[]
---@field decode fun(self: table, ids: integer[]): string
---@field normalize fun(self: table, text: string): string

---@class drift.define.view.arguments
---@field name string
---@field doc string # one line
---@field params? drift.define.row[]
---@field replace? boolean # take the place of an earlier one
---@field apply fun(self: table, x: drift.tensor): drift.tensor
---@field invert fun(self: table, y: drift.tensor): drift.tensor
---@field invert_variance? fun(self: table, v: drift.tensor): drift.tensor
---@field constant? fun(self: table): number
---@field create? fun(self: table)
---@field destroy? fun(self: table)

---@class drift.define.weighting.arguments
---@field name string
---@field doc string # one line
---@field params? drift.define.row[]
---@field replace? boolean # take the place of an earlier one
---@field weight fun(self: table, coef: drift.define.coef): number

---@class drift.define
local define = {}

---@class drift.library
---@field define drift.define

---@param arguments drift.define.block.arguments
---@return function constructor # drift.block.NAME
function define.block(arguments) end

---@param arguments drift.define.clip.arguments
---@return function constructor # drift.clip.NAME
function define.clip(arguments) end

---@param arguments drift.define.conditioning.arguments
---@return function constructor # drift.conditioning.NAME
function define.conditioning(arguments) end

---@param arguments drift.define.coupling.arguments
---@return function constructor # drift.coupling.NAME
function define.coupling(arguments) end

---@param arguments drift.define.dataset.arguments
---@return function constructor # drift.dataset.NAME
function define.dataset(arguments) end

---@param arguments drift.define.decay.arguments
---@return function constructor # drift.decay.NAME
function define.decay(arguments) end

---@param arguments drift.define.ema.arguments
---@return function constructor # drift.ema.NAME
function define.ema(arguments) end

---@param arguments drift.define.filter.arguments
---@return function constructor # drift.filter.NAME
function define.filter(arguments) end

---@param arguments drift.define.guidance.arguments
---@return function constructor # drift.guidance.NAME
function define.guidance(arguments) end

---@param arguments drift.define.metric.arguments
---@return function constructor # drift.metric.NAME
function define.metric(arguments) end

---@param arguments drift.define.op.arguments
---@return function constructor # drift.op.NAME
function define.op(arguments) end

---@param arguments drift.define.optim.arguments
---@return function constructor # drift.optim.NAME
function define.optim(arguments) end

---@param arguments drift.define.process.arguments
---@return function constructor # drift.process.NAME
function define.process(arguments) end

---@param arguments drift.define.sampler.arguments
---@return function constructor # drift.sampler.NAME
function define.sampler(arguments) end

---@param arguments drift.define.schedule.arguments
---@return function constructor # drift.schedule.NAME
function define.schedule(arguments) end

---@param arguments drift.define.time_sampling.arguments
---@return function constructor # drift.time_sampling.NAME
function define.time_sampling(arguments) end

---@param arguments drift.define.timesteps.arguments
---@return function constructor # drift.timesteps.NAME
function define.timesteps(arguments) end

---@param arguments drift.define.tokenizer.arguments
---@return function constructor # drift.tokenizer.NAME
function define.tokenizer(arguments) end

---@param arguments drift.define.view.arguments
---@return function constructor # drift.view.NAME
function define.view(arguments) end

---@param arguments drift.define.weighting.arguments
---@return function constructor # drift.weighting.NAME
function define.weighting(arguments) end

---Runs the edited file of a definition again: what exists goes on with the new functions.
---@param path string
---@return { kind: string, name: string, swapped: boolean }[]
function define.rerun(path) end

---The file of a component written in Lua; nil: it is not.
---@param kind string
---@param name string
---@return string?
function define.file_of(kind, name) end
