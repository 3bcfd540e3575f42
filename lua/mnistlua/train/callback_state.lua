-- What callbacks remember. Of a callback table these are its fields of plain data (numbers, texts, booleans, tensors,
-- tables of these), unless it has the methods state(), which returns plain data, and load_state(data). Functions
-- remember nothing that could be kept. Called by state.lua and restore.lua.
local options = require "mnistlua.options"
local pack = require "mnistlua.train.pack"

local m = {}

local function fields_of(callback)
  local fields = {}
  for key, value in next, callback do
    if pack.is_plain(key) and pack.is_plain(value) then fields[key] = value end
  end
  return fields
end

--- The state of each, by position.
function m.take(callbacks)
  local list = {}
  for i, callback in ipairs(callbacks or {}) do
    if type(callback) ~= "table" then
      list[i] = { kind = "function" }
    elseif callback.state and type(callback.state) == "function" then
      list[i] = { kind = "state", data = callback:state() }
    else
      list[i] = { kind = "fields", data = fields_of(callback) }
    end
  end
  return list
end

local function kind_of(callback)
  if type(callback) ~= "table" then return "function" end
  return type(callback.state) == "function" and "state" or "fields"
end

--- nil if the states are those of these callbacks, otherwise what does not fit.
function m.misfit(callbacks, list)
  callbacks = callbacks or {}
  if #callbacks ~= #list then return ("it has %d callbacks where the experiment has %d"):format(#list, #callbacks) end
  for i, callback in ipairs(callbacks) do
    if kind_of(callback) ~= list[i].kind then return ("callback %d is another one there"):format(i) end
  end
end

local function same_shape(a, b)
  return options.kind(a) == "tensor" and options.kind(b) == "tensor" and a.dtype == b.dtype
     and table.concat(a.shape, "x") == table.concat(b.shape, "x")
end

-- Makes `own` what `saved` is without replacing tables and tensors that others may hold.
local function refill(own, saved)
  for key, value in next, own do
    if saved[key] == nil and pack.is_plain(key) and pack.is_plain(value) then own[key] = nil end
  end
  for key, value in pairs(saved) do
    local before = rawget(own, key)
    if type(value) == "table" and type(before) == "table" and getmetatable(before) == nil then
      refill(before, value)
    elseif same_shape(before, value) then
      before:copy_(value)
    else
      rawset(own, key, value)
    end
  end
end
m.refill = refill

--- Puts states back that fit.
function m.put(callbacks, list)
  for i, callback in ipairs(callbacks or {}) do
    if list[i].kind == "state" then callback:load_state(list[i].data) end
    if list[i].kind == "fields" then refill(callback, list[i].data) end
  end
end

return m
