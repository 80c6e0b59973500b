---@meta _
-- What an editor should know and the registry does not: what scripts begin with, tensors, specs, networks. Written by
-- hand; a test holds every name here to the program. For editors alone: the program never loads it.

---@class drift.library
---@field version string
---@field home string # the folder that holds lua/, plugins/ and tests/data
---@field options table # the command line's: device, precision, seed, threads, out, resume, ...
---@field set table<string, string> # key = text of all --set key=value
---@field models drift.models # networks: lua/drift/models/NAME.lua
---@field edit drift.edit # edits: lua/drift/edit/NAME.lua
---@field generators drift.generators # what edits run on: lua/drift/generators/NAME.lua
local drift = {}

-- ---- experiments ---------------------------------------------------------------------------------------------------

---The parameters of a script, after preset, resumed run and command line, and the folder of its results.
---@param parameters table<string, any>
---@return drift.run
function drift.experiment(parameters) end

---@class drift.train.arguments
---@field run drift.run
---@field data drift.spec.dataset|table
---@field model drift.spec|drift.module
---@field optim drift.spec.optim
---@field process? drift.spec.process # this or loss
---@field loss? fun(net: drift.module, batch: table): drift.tensor # this or process
---@field decay? drift.spec.decay
---@field p_uncond? number # share of rows that learn without their condition (default 0)
---@field epochs? integer # default: the run's parameter
---@field batch? integer # default: the run's parameter
---@field steps? integer # a limit; 0: none (default: the run's parameter)
---@field seconds? number # a limit on the time of its steps, resumed ones included; 0: none
---@field after_epoch? fun(net: drift.module, epoch: integer, averages: any)
---@field label? string
---@field time_sampling? drift.spec.time_sampling
---@field weighting? drift.spec.weighting
---@field coupling? drift.spec.coupling
---@field ema? drift.spec.ema|table # averages to keep: one, or a list
---@field ema_every? integer # steps between snapshots of averages
---@field checkpoint_every? integer # steps between checkpoints, beside those at epochs' ends

---The training loop that all experiments share: resumes, checkpoints, logs and draws loss.svg.
---@param arguments drift.train.arguments
---@return drift.module net
---@return any averages
function drift.train(arguments) end

---@class drift.sample.arguments
---@field model drift.spec|drift.module|fun(x: drift.tensor, cond: table): drift.tensor
---@field process drift.spec.process
---@field sampler drift.spec.sampler
---@field shape? integer[] # {C, H, W}
---@field guidance? drift.spec.guidance|table # one, or a list, outermost last
---@field networks? table<string, drift.module> # such as weak, of autoguidance
---@field labels? integer[]|drift.tensor
---@field n? integer # how many, where nothing else says it
---@field condition? table # label, tokens, tokens_mask, image, image_level, null
---@field conditions? table[] # for guidance that joins estimates
---@field clip? drift.spec.clip
---@field x? drift.tensor # what to start from, in place of noise
---@field step? integer # added to the count of steps that keys the noise
---@field batch? integer
---@field seed? integer
---@field first? integer # number of the first image: the key of its noise
---@field each? fun(step: integer, steps: integer, t: number, x: drift.tensor, first: integer): drift.tensor?
---@field grid? number[] # times, in place of the sampler's own
---@field quiet? boolean

---Images from a trained network; image i starts from noise keyed by (seed, i), whatever the batch.
---@param arguments drift.sample.arguments
---@return drift.tensor images
---@return drift.tensor? labels
function drift.sample(arguments) end

---@class drift.grid.arguments
---@field rows integer|any[]
---@field cols integer|any[]
---@field cell fun(row: any, col: any, i: integer, j: integer): drift.tensor? # nil: an empty cell
---@field title? string
---@field scale? integer

---A labelled grid of images, as a canvas for run:figure, drift.show and drift.png.
---@param arguments drift.grid.arguments
---@return any canvas
function drift.grid(arguments) end

---@class drift.run
---@field dir string # the run's folder
---@field [string] any # the parameters' values
local run = {}

---A path in the run's folder.
---@param file string
---@return string
function run:path(file) end

---@param name string
---@param picture any # a canvas
---@return string path
function run:figure(name, picture) end

---A line in metrics.jsonl.
---@param record table
function run:log(record) end

---A line in config.json.
---@param key string
---@param value any
function run:describe(key, value) end

---One of several trainings, in run.dir/name; resumed with the whole.
---@param name string
---@return drift.run
function run:part(name) end

---What the parameter `key` names.
---@param key string
---@param choices table<string, any>
---@return any
function run:choice(key, choices) end

---@return number loss
---@return integer epoch
function run:final_loss() end

---Says the final losses, the wall time and the folder; a script's last line.
function run:finish() end

---@param format string
---@param ... any
function run:say(format, ...) end

-- ---- specs and networks --------------------------------------------------------------------------------------------

---What is wanted, checked where it is written: stands for an instance wherever one is wanted.
---@class drift.spec
---@field kind string
---@field name string
---@field params table<string, any> # every parameter, defaults filled in (a copy)
local spec = {}

---A new spec with parameters changed.
---@generic T: drift.spec
---@param self T
---@param changes table<string, any>
---@return T
function spec:with(changes) end

---64 hex digits, the same in every run.
---@return string
function spec:hash() end

---A plain table, for JSON.
---@return table
function spec:table() end

---Its own instance, built at first use.
---@return any
function spec:instance() end

---A new instance each time: of a net, block or conditioning a module.
---@param spec drift.spec
---@param options? { seed: integer?, weights: any, trainable: boolean? }
---@return any
function drift.build(spec, options) end

---@param value any
---@param kind? string
---@return any
function drift.instance(value, kind) end

---@param value any
---@param kind? string
---@return boolean
function drift.is_spec(value, kind) end

---@class drift.net.arguments
---@field name string
---@field config? table<string, any> # plain, for records and the hash
---@field children? table # { init = spec, ... }, or an ordered list { { "init", spec }, ... }
---@field inline? table<string, drift.spec> # the same, but shares the parent's path
---@field weights? table<string, table> # { gain = { shape = { 8 }, init = 1 } }
---@field forward? fun(net: drift.module, x: drift.tensor, ...: any): drift.tensor
---@field methods? table<string, function>
---@field shares_images? boolean
---@field without_mask? boolean

---A network of blocks and ops, as a spec.
---@param arguments drift.net.arguments
---@return drift.spec.net
function drift.net(arguments) end

---@class drift.module
---@field path string
---@field config table
---@field [string] any # children and weights, by name
---@overload fun(x: drift.tensor, ...: any): drift.tensor
local module = {}

---@param on? boolean
---@return drift.module
function module:train(on) end

---@return drift.module
function module:eval() end

---@return boolean
function module:training() end

---@return { path: string, tensor: drift.tensor }[]
function module:parameters() end

---Number of weights' elements.
---@return integer
function module:count() end

---@param prefix? string
---@return table<string, drift.tensor>
function module:state_dict(prefix) end

---@param state table<string, drift.tensor>
---@param options? { strict: boolean?, prefix: string? }
---@return drift.module
function module:load_state_dict(state, options) end

---@param path string
---@param metadata? table<string, string>
function module:save(path, metadata) end

---@param file any # a path, or what drift.open gives
---@param options? { strict: boolean?, prefix: string? }
---@return drift.module
function module:load(file, options) end

-- ---- tensors -------------------------------------------------------------------------------------------------------

---@class drift.tensor
---@field shape integer[]
---@field dtype string
---@field device string
---@field rank integer
---@field grad drift.tensor? # after backward, of what requires a gradient
---@field [integer] drift.tensor # slice of the first axis, from 1
---@operator add(drift.tensor|number): drift.tensor
---@operator sub(drift.tensor|number): drift.tensor
---@operator mul(drift.tensor|number): drift.tensor
---@operator div(drift.tensor|number): drift.tensor
---@operator pow(drift.tensor|number): drift.tensor
---@operator unm: drift.tensor
---@operator len: integer
local tensor = {}

---@return number
function tensor:item() end

---@return any # nested lists
function tensor:totable() end

---@return integer
function tensor:numel() end

---@param dy? drift.tensor
function tensor:backward(dy) end

---Without an argument: whether it does.
---@param on? boolean
---@return any
function tensor:requires_grad(on) end

function tensor:zero_grad() end

---@return drift.tensor
function tensor:detach() end

---@return drift.tensor
function tensor:clone() end

---@return drift.tensor
function tensor:contiguous() end

---It outlives its scope.
---@return drift.tensor
function tensor:keep() end

---@param device any
---@return drift.tensor
function tensor:to(device) end

---@param ... integer|integer[]
---@return drift.tensor
function tensor:view(...) end

---@param from? integer # axis, from 0
---@return drift.tensor
function tensor:flatten(from) end

---@param dim? integer
---@return drift.tensor
function tensor:squeeze(dim) end

---@param dim integer
---@return drift.tensor
function tensor:unsqueeze(dim) end

---@param a? integer
---@param b? integer
---@return drift.tensor
function tensor:transpose(a, b) end

---@param dim integer
---@param start integer # from 0
---@param length integer
---@return drift.tensor
function tensor:narrow(dim, start, length) end

---@param values any # a nested list, or a number
---@param dtype? string|table
---@return drift.tensor
function drift.tensor(values, dtype) end

---drift.zeros(2, 3) or drift.zeros({ 2, 3 }, options)
---@param ... any
---@return drift.tensor
function drift.zeros(...) end

---@param ... any
---@return drift.tensor
function drift.ones(...) end

---Normal numbers from a stream: drift.randn { 2, 3, purpose = "noise", seed =, step =, sample = }
---@param shape table
---@return drift.tensor
function drift.randn(shape) end

---Uniform in [0, 1), as drift.randn
---@param shape table
---@return drift.tensor
function drift.rand(shape) end

---@param list drift.tensor[]
---@param dim integer
---@return drift.tensor
function drift.concat(list, dim) end

---@param list drift.tensor[]
---@return drift.tensor
function drift.stack(list) end

---fn(...); tensors made inside die at its end, but those returned and kept ones.
---@param fn function
---@param ... any
---@return any
function drift.scope(fn, ...) end

---@param fn function
---@param ... any
---@return any
function drift.no_grad(fn, ...) end

---Variants side by side, paired by seed: docs/comparing.md
---@class drift.compare.arguments
---@field variants table # { NAME = net spec, table of what differs, or function }, or a list with name and label
---@field train? table # as drift.train takes it
---@field sample? table # as drift.sample takes it
---@field run? drift.run # where the script has parameters
---@field baseline? string # with which the others are compared; of a list the first
---@field seeds? integer[]
---@field metrics? drift.spec[]
---@field evaluate? table # n, real, train, classifier, resamples, batch of drift.evaluate
---@field held_out? integer # test images on which the training's own loss is measured (500)
---@field cost_quality? table # samplers, steps, n, metrics: quality against evaluations of the model
---@field match? table<string, number> # steps, params, flops, memory, time: how far from the baseline
---@field budget? table # { flops = "equal" }
---@field name? string
---@field title? string
---@field question? string
---@field confidence? number # 0.95

---@param arguments drift.compare.arguments
---@return table # text, verdict, metrics, paired, comparison, dir, save(dir)
function drift.compare(arguments) end

---report.html, report.md, results.csv and summary.csv of a comparison's folder or a run's.
---@param folder string
---@param options? { out: string?, quiet: boolean? }
---@return string path # of report.html
function drift.report(folder, options) end

---What a training step costs, counted from its plan.
---@param arguments table # model, shape, classes, batch, process, loss, optim, p_uncond, ema, device
---@return table # params, flops_forward, flops_step, plan_bytes, memory, ops, text, ...
function drift.cost(arguments) end

---A plugin's or component's new version takes the old one's place, between steps.
---@param name string # "heun", "sampler.heun", or a file
---@param options? { build: boolean? }
---@return table # plugin, version, sha256, instances, modules, unmapped, seconds, total
function drift.reload(name, options) end
