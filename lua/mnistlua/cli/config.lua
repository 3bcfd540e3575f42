-- Configs as files: reading one, running it, the key=value parameters that it is given, and listing those it declares.
local context = require "mnistlua.context"
local core = require "mnistlua.core"
local options = require "mnistlua.options"
local outcome = require "mnistlua.cli.outcome"
local params = require "mnistlua.params"

local m = {}

-- `return ml.experiment { ... }` is a tail call, after which Lua no longer knows the config's line. With parentheses
-- around the value it is an ordinary call. Line numbers stay; what cannot be loaded like this is loaded as it is.
local function without_tail_call(text)
  local before, value = ("\n" .. text):match "^(.*\n)return%s+(.-)[%s;]*$"
  if not before then return text end
  return before:sub(2) .. "return (" .. value .. "\n)"
end

local function read(path)
  local text, problem = core.read_file(path, 1 << 24)
  if not text then options.usage(problem) end
  return text
end

local function compile(path, text)
  if text:sub(1, 1) == "\27" then
    options.usage(("%s: this is compiled Lua; expected the script's text"):format(core.escape(path)))
  end
  context.config_text = text
  text = text:gsub("^\xef\xbb\xbf", ""):gsub("^#[^\n]*", "")
  local chunk, problem = load(without_tail_call(text), "@" .. path, "t")
  if not chunk then chunk, problem = load(text, "@" .. path, "t") end
  if not chunk then options.usage(core.escape(problem)) end
  return chunk
end

--- Lets scripts require what lies beside a file.
function m.search_beside(path)
  local folder = path:match "^(.*)/" or "."
  package.path = folder .. "/?.lua;" .. package.path
end

local defaulted = {}    -- the names of those that m.default_overrides took

-- Forgets those of another config, where a process runs several.
local function forget_defaults()
  local order = {}
  for _, key in ipairs(context.override_order) do
    if defaulted[key] then context.overrides[key] = nil else order[#order + 1] = key end
  end
  context.override_order, defaulted = order, {}
end

--- Takes a table of overrides, as context.overrides has them, for the parameters that have none yet; those of an
--- earlier call are forgotten.
function m.default_overrides(overrides)
  forget_defaults()
  for _, key in ipairs(options.sorted_keys(overrides)) do
    defaulted[key] = not context.overrides[key]
    if not context.overrides[key] then
      context.overrides[key] = overrides[key]
      context.override_order[#context.override_order + 1] = key
    end
  end
end

--- Takes key=value words as overrides of the parameters that a config declares.
function m.override(words)
  for _, text in ipairs(words) do
    local key, value = text:match "^([%a_][%w_]*)=(.*)$"
    if not key then
      options.usage(("expected key=value, got '%s'"):format(core.escape(text)))
    elseif context.overrides[key] then
      options.usage(("parameter %s is given twice"):format(key))
    end
    context.overrides[key] = value
    context.override_order[#context.override_order + 1] = key
  end
end

local function list_parameters()
  local lines = params.help()
  print(("parameters of %s (set with key=value):"):format(core.escape(context.config)))
  print(#lines > 0 and table.concat(lines, "\n") or "  none")
  print "mnistlua --help lists the options."
  return outcome.exit.done
end

outcome.endings[params.listing_done] = list_parameters

--- What a config declares with ml.params (context.params), without running it further than there; a config that
--- declares nothing is run whole.
function m.declared(path)
  context.config, context.listing = path, true
  local chunk = compile(path, read(path))
  m.search_beside(path)
  local ok, problem = pcall(chunk)
  if not ok and problem ~= params.listing_done then error(problem, 0) end
  context.listing = false
  return context.params or { names = {}, specs = {}, values = {} }
end

--- Runs a config and returns its experiment, or nil if it is a script that returns nothing. With `listing` it ends
--- where the parameters are declared and lists them: returns nil and the exit code. `text` takes the place of what the
--- file holds now.
function m.run(path, listing, text)
  context.config, context.listing = path, listing
  local chunk = compile(path, text or read(path))
  m.search_beside(path)
  local value = chunk()
  if listing then return nil, list_parameters() end
  if not context.params then params.check_overrides {} end
  if require("mnistlua.experiment").is_experiment(value) then return value end
  if value == nil and context.pending then
    options.fail("the experiment is described but not returned; write return ml.experiment { ... }", context.pending)
  elseif value ~= nil then
    options.usage(("%s: a config returns ml.experiment{...} or nothing, got %s"):format(path, type(value)))
  end
end

return m
