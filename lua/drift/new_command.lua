-- drift new KIND NAME          a plugin of your own to start from, in the folder NAME
-- drift new KIND NAME --lua    the same component written in Lua, which needs no compiler
--
--   drift new sampler my_sampler && cd my_sampler && make
--
-- KIND is any kind of component: op backend block conditioning schedule process time_sampling weighting coupling sampler
-- timesteps guidance clip view filter optim decay ema dataset metric tokenizer. NAME is what the component will be called:
-- small letters, digits and _. The folder holds a component that works, its test, a Makefile (make, make test, make check,
-- make install) and a README. They are copies of plugins/template/KIND, with the names replaced (its README.md).
local core = require "drift.core"

local template = core.home .. "/plugins/template"

-- ---- what can be made, and what it may be called --------------------------------------------------------------------
local function kinds()
  local names = {}
  for _, name in ipairs(core.files(template)) do
    if core.is_folder(template .. "/" .. name) then names[#names + 1] = name end
  end
  return names
end

local function check_kind(kind)
  local known = kinds()
  for _, each in ipairs(known) do
    if each == kind then return end
  end
  local near = core.nearest(kind, known)
  core.fail("there is no kind '%s'%s; there are %s", kind, near and "; did you mean '" .. near .. "'?" or "",
            table.concat(known, ", "))
end

local function words(text)
  local set = {}
  for word in text:gmatch "[%w_]+" do set[word] = true end
  return set
end

local keywords = words [[auto break case char const continue default do double else enum extern float for goto if inline
  int long register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
  asm typeof bool true false nullptr constexpr alignas alignof static_assert thread_local]]

-- Functions of the C library, which a struct of that name would hide, or clash with once a header is included.
local library = words [[main abs div exp log pow sqrt sin cos tan sinh cosh tanh round floor ceil gamma signal time clock
  free malloc calloc realloc exit abort index remove rename system read write open close link random rand sleep select
  stdin stdout stderr errno linux unix]]

-- What the template itself calls something: comments and strings do not count.
local function identifiers(source)
  return words((source:gsub("/%*.-%*/", " "):gsub('"[^"\n]*"', " ")))
end

-- An op's attributes are a struct dr_NAME_attr, and the headers have some of their own.
local function has_attributes(name)
  local headers = core.read_file(core.installation().headers .. "/drift/attributes.h")
  return words(headers)["dr_" .. name .. "_attr"]
end

local function check_name(kind, name, source)
  local why
  if not name:find "^%l[%l%d_]*$" then why = "it is to be small letters, digits and _, beginning with a letter"
  elseif #name > 48 then why = "it is longer than 48 letters"
  elseif name:find "^dr_" then why = "names with dr_ are Drift's own"
  elseif keywords[name] then why = "that is a word of C itself"
  elseif library[name] then why = "that is a function of the C library"
  elseif kind == "op" and has_attributes(name) then why = ("the headers have a dr_%s_attr already"):format(name)
  elseif identifiers(source)[name] then why = "its own file will call something else by that name" end
  if why then core.fail("no %s can be called '%s': %s", kind, name, why) end
end

local function check_free(kind, name)
  for _, c in ipairs(core.components(kind)) do
    if c.name == name then
      local path = ""
      for _, p in ipairs(core.plugins()) do
        if p.id == c.plugin and p.path ~= "" then path = ", " .. p.path end
      end
      core.fail("the %s '%s' is there already, in the plugin %s%s", kind, name, c.plugin, path)
    end
  end
  if core.exists(name) then core.fail("%s is there already; nothing was written", name) end
end

-- ---- the copy -------------------------------------------------------------------------------------------------------
-- In one pass, so that a new name in which an old one occurs stays whole.
local function replaced(text, new)
  local parts, at = {}, 1
  while true do
    local first = text:find("my_", at, true)
    if not first then break end
    local found
    for old in pairs(new) do
      local last = first + #old - 1
      if text:sub(first, last) == old and not text:sub(last + 1, last + 1):find "%w" then found = old end
    end
    parts[#parts + 1] = text:sub(at, first - 1) .. (found and new[found] or "my_")
    at = first + (found and #found or 3)
  end
  return table.concat(parts) .. text:sub(at)
end

-- How the Makefile calls the program: by its name where the shell finds it so; ./drift by that, since it builds what a
-- command needs.
local function program()
  local path = os.getenv "DRIFT_CALLED_AS" or core.installation().program
  for folder in (os.getenv "PATH" or ""):gmatch "[^:]+" do
    if folder .. "/drift" == path then return "drift" end
  end
  return path == "" and "drift" or (path:gsub("%$", "$$$$"):gsub("#", "\\#"))
end

-- ---- what is in the folder -------------------------------------------------------------------------------------------
-- A plugin: the kind's C file and test, with the files that all plugins have.
local function plugin_files(kind, name)
  check_name(kind, name, core.read_file(("%s/%s/my_%s.c"):format(template, kind, kind)))
  local files = { ["my_plugin.c"] = core.read_file(("%s/%s/my_%s.c"):format(template, kind, kind)) }
  for _, file in ipairs { "plugin.c", "Makefile" } do files[file] = core.read_file(template .. "/" .. file) end
  return files, "", "building.md"
end

-- A file of Lua: scripts require it, and the kind's test is the same but for that.
local function lua_files(kind, name)
  local path = ("%s/%s/my_%s.lua"):format(template, kind, kind)
  if not core.exists(path) then core.fail("no %s can be written in Lua", kind) end
  check_name(kind, name, "")
  return { ["my_plugin.lua"] = core.read_file(path) }, 'require "my_plugin"\n', "requiring.md"
end

return function(kind, name)
  check_kind(kind)
  local in_lua = (core.settings.options.new or {}).lua ~= nil
  local files, head, manual = (in_lua and lua_files or plugin_files)(kind, name)
  check_free(kind, name)
  local folder = template .. "/" .. kind
  files["test.lua"] = head .. core.read_file(folder .. "/test.lua"):gsub("make test", in_lua and "drift run test.lua" or "make test")
  files["README.md"] = core.read_file(folder .. "/README.md") .. core.read_file(template .. "/" .. manual)

  local new = { ["my_" .. kind] = name, my_plugin = name, my_kind = kind, my_drift = program() }
  core.mkdir(name)
  for file, text in pairs(files) do core.write_file(name .. "/" .. replaced(file, new), replaced(text, new)) end
  if in_lua then
    print(("%s/ has the %s %s in %s.lua. Next:\n\n    drift run %s/test.lua        and see its README.md"):format(
      name, kind, name, name, name))
  else
    print(("%s/ is a plugin with the %s %s. Next:\n\n    cd %s && make        then make test, make check, make install: see its README.md")
      :format(name, kind, name, name))
  end
end
