-- The target of a request, "/api/runs/NAME?width=4", as segments of its path and values of its query. A function of the
-- text alone. What could name something outside is refused: "..", slashes that were escaped, control characters.
local m = {}

local longest = 4096     -- bytes

-- %41 as "A"; nil if a % is followed by anything else than two hexadecimal digits.
local function decode(text)
  local plain = text:gsub("%%%x%x", "")
  if plain:find("%", 1, true) then return nil end
  return (text:gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end))
end

local function read_segment(text)
  local name = decode(text)
  if not name or name == "" or name == "." or name == ".." or name:find "[%c/\\\x7f]" then return nil end
  return name
end

local function read_path(path)
  local segments = {}
  if path == "/" then return segments end
  for text in (path:sub(2) .. "/"):gmatch "([^/]*)/" do
    local name = read_segment(text)
    if not name then return nil end
    segments[#segments + 1] = name
  end
  return segments
end

local function read_query(text)
  local values = {}
  for pair in text:gmatch "[^&]+" do
    local key, value = pair:match "^([^=]*)=?(.*)$"
    key, value = decode((key:gsub("%+", " "))), decode((value:gsub("%+", " ")))
    if not key or not value or (key .. value):find "[%c\x7f]" then return nil end
    values[key] = values[key] or {}
    table.insert(values[key], value)
  end
  return values
end

--- The segments of the path, {} for "/", and for every key of the query the list of its values. nil if it is not a path
--- and a query, each in its plain form.
function m.read(text)
  if #text > longest or text:sub(1, 1) ~= "/" then return nil end
  local path, query = text:match "^([^?]*)%??(.*)$"
  local segments, values = read_path(path), read_query(query)
  if not segments or not values then return nil end
  return segments, values
end

return m
