-- State dicts: a module's tensors by PyTorch's names, in memory and in safetensors files. Loading checks everything
-- before it changes anything.
local core = require "mnistlua.core"
local options = require "mnistlua.options"
local flow = require "mnistlua.nn.flow"

local most_named = 8    -- names of one sort in one message

-- Appends { name, tensor } of module and all below it: own parameters, own buffers, then children.
local function collect(module, prefix, list)
  for _, role in ipairs { "parameter", "buffer" } do
    for _, name in ipairs(module._order) do
      if module._roles[name] == role then
        list[#list + 1] = { module.join_names(prefix, name), module._values[name] }
      end
    end
  end
  local children, names = module:children()
  for i, child in ipairs(children) do collect(child, module.join_names(prefix, names[i]), list) end
  return list
end

local function by_name(list)
  local map = {}
  for _, entry in ipairs(list) do map[entry[1]] = entry[2] end
  return map
end

-- A dict in any of its forms (list of { name, tensor }, map) as a list of names in a fixed order and a map.
local function read_dict(what, dict)
  if type(dict) ~= "table" then options.fail(("%s: expected a table, got %s"):format(what, options.show(dict))) end
  local names, map = {}, {}
  for i, entry in ipairs(dict) do
    if type(entry) ~= "table" then options.fail(("%s: entry %d is not a { name, tensor }"):format(what, i)) end
    names[i], map[entry[1]] = entry[1], entry[2]
  end
  if #names == 0 then names, map = options.sorted_keys(dict), dict end
  for _, name in ipairs(names) do
    if type(name) ~= "string" or options.kind(map[name]) ~= "tensor" then
      options.fail(("%s: '%s' is %s; expected a tensor"):format(what, tostring(name), options.show(map[name])))
    end
  end
  return names, map
end

local function shape_problem(name, own, given)
  local has, wants = flow.shape_text(given.shape), flow.shape_text(own.shape)
  if has ~= wants then return ("'%s' is %s where the model has %s"):format(name, has, wants) end
  if given.dtype ~= own.dtype then
    return ("'%s' holds %s where the model has %s"):format(name, given.dtype, own.dtype)
  end
end

-- The names of own that given lacks, and the names of given that own lacks.
local function compare(own, own_map, names, map)
  local missing, unexpected = {}, {}
  for _, entry in ipairs(own) do
    if not map[entry[1]] then missing[#missing + 1] = entry[1] end
  end
  for _, name in ipairs(names) do
    if not own_map[name] then unexpected[#unexpected + 1] = name end
  end
  return missing, unexpected
end

-- "missing 'a', 'b', and 3 more"; nil for an empty list.
local function sentence(verb, items)
  if #items == 0 then return nil end
  local shown = table.concat(items, ", ", 1, math.min(#items, most_named))
  return verb .. shown .. (#items > most_named and (", and %d more"):format(#items - most_named) or "")
end

local function quote(names)
  local quoted = {}
  for i, name in ipairs(names) do quoted[i] = "'" .. core.escape(name) .. "'" end
  return quoted
end

-- Quoted, those that are named with what they may have been meant for.
local function quote_unexpected(unexpected, missing)
  local quoted = quote(unexpected)
  for i = 1, math.min(#unexpected, most_named) do
    local near = options.nearest(unexpected[i], missing)
    if near then quoted[i] = ("%s (did you mean '%s'?)"):format(quoted[i], near) end
  end
  return quoted
end

-- nil if dict fits, or what does not, in words.
local function misfit(own, names, map, strict)
  local missing, unexpected = compare(own, by_name(own), names, map)
  local shapes, parts = {}, {}
  for _, entry in ipairs(own) do
    if map[entry[1]] then shapes[#shapes + 1] = shape_problem(entry[1], entry[2], map[entry[1]]) end
  end
  if strict then
    parts[1] = sentence("missing ", quote(missing))
    parts[#parts + 1] = sentence("unexpected ", quote_unexpected(unexpected, missing))
  end
  parts[#parts + 1] = sentence("", shapes)
  return parts[1] and table.concat(parts, "; ")
end

-- Layers whose sizes are still to be inferred take them from the tensors that they are about to get.
local function infer_sizes(module, map)
  for prefix, layer in module:named_modules() do
    local weight = map[module.join_names(prefix, layer.sizing)]
    if not layer.built and layer.infer_from_weight and weight then layer:infer_from_weight(weight) end
  end
end

local function copy_in(own, map)
  for _, entry in ipairs(own) do
    if map[entry[1]] then entry[2]:copy_(map[entry[1]]) end
  end
end

local function check_path(what, path)
  if type(path) ~= "string" then options.fail(("%s: expected a path, got %s"):format(what, options.show(path))) end
end

local function check_metadata(what, metadata)
  local texts = { format = "pt" }
  for _, key in ipairs(options.sorted_keys(metadata or {})) do
    local kind = type(metadata[key])
    if type(key) ~= "string" or kind ~= "string" and kind ~= "number" and kind ~= "boolean" then
      options.fail(("%s: metadata maps names to text, but '%s' is %s"):format(what, tostring(key),
        options.show(metadata[key])))
    end
    texts[key] = tostring(metadata[key])
  end
  return texts
end

return function(Module)
  --- The module's tensors (not copies) by PyTorch's names: a list of { name, tensor }, from which a name gives its
  --- tensor too: state["0.weight"].
  function Module:state_dict()
    self:refuse_unbuilt("state_dict")
    local list = collect(self, "", {})
    return setmetatable(list, { __index = by_name(list) })
  end

  --- Whether a state dict fits this module: true, or nil and what does not.
  function Module:check_state_dict(dict)
    local names, map = read_dict(self.typename .. ":check_state_dict", dict)
    local problem = misfit(self:state_dict(), names, map, true)
    if problem then return nil, problem end
    return true
  end

  --- Copies tensors in by name. `dict` is a state dict or a table name -> tensor. Raises, changing nothing, if a name
  --- is missing or unexpected (unless `strict` is false) or a shape differs. Returns the module.
  function Module:load_state_dict(dict, strict)
    local names, map = read_dict(self.typename .. ":load_state_dict", dict)
    infer_sizes(self, map)
    local own = self:state_dict()
    local problem = misfit(own, names, map, strict ~= false)
    if problem then options.fail(("%s:load_state_dict: %s"):format(self.typename, problem)) end
    copy_in(own, map)
    return self
  end

  --- Writes the module's tensors to a safetensors file, all or nothing. `metadata` maps names to text. Returns true,
  --- or nil and a message.
  function Module:save(path, metadata)
    check_path(self.typename .. ":save", path)
    return core.safetensors_write(path, self:state_dict(), check_metadata(self.typename .. ":save", metadata))
  end

  --- Reads the module's tensors from a safetensors file. Returns the module and the file's metadata; or nil and a
  --- message, with no value changed, if the file cannot be read or does not fit. Layers whose input sizes were left out
  --- take them from the file.
  function Module:load(path)
    check_path(self.typename .. ":load", path)
    local list, metadata = core.safetensors_read(path)
    if not list then return nil, metadata end
    local names, map = read_dict(self.typename .. ":load", list)
    infer_sizes(self, map)
    local own = self:state_dict()
    local problem = misfit(own, names, map, true)
    if problem then return nil, ("%s: does not fit %s: %s"):format(core.escape(path), self.typename, problem) end
    copy_in(own, map)
    return self, metadata
  end
end
