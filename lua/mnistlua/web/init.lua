-- Pages: the files of this folder put together with a page's own content. Called by the report, `export --html` and
-- `serve`. What a page shows of names, labels or configs goes through escape (in HTML) or json (in scripts); nothing
-- here decides what a page says.
local core = require "mnistlua.core"
local json = require "mnistlua.json"

local m = {}

local longest = 1 << 20    -- bytes of a file of this folder

-- ---- text from anywhere ----

local entities = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }

-- UTF-8 whatever the bytes were: each that belongs to no character becomes U+FFFD.
local function valid(text)
  local parts, from = {}, 1
  while true do
    local length, bad = utf8.len(text, from)
    if length then break end
    parts[#parts + 1] = text:sub(from, bad - 1) .. "\u{FFFD}"
    from = bad + 1
  end
  parts[#parts + 1] = text:sub(from)
  return table.concat(parts)
end

-- Control bytes as their pictures (U+2400 and up), so that they are seen; tabs and line ends stay.
local function visible(text)
  return (valid(text):gsub("[%c\x7f]", function(c)
    if c == "\n" or c == "\t" then return c end
    return c == "\r" and "" or utf8.char(c == "\x7f" and 0x2421 or 0x2400 + c:byte())
  end))
end

--- Any text as HTML that shows it, in content and in quoted attributes.
function m.escape(text) return (visible(tostring(text)):gsub("[&<>\"']", entities)) end

--- A value as JSON that can stand in a <script>: nothing in it ends the element.
function m.json(value)
  local text = json.encode(value)
  return text:find("<", 1, true) and text:gsub("<", "\\u003c") or text
end

-- ---- elements ----

--- An element: m.tag("td", { class = "number" }, m.escape(text)). Attributes are sorted by name and escaped, true
--- stands for one without a value; the content is HTML.
function m.tag(name, attributes, ...)
  local keys, parts = {}, { "<", name }
  for key in pairs(attributes or {}) do keys[#keys + 1] = key end
  table.sort(keys)
  for _, key in ipairs(keys) do
    local value = attributes[key]
    parts[#parts + 1] = value == true and " " .. key or value and (' %s="%s"'):format(key, m.escape(value)) or ""
  end
  parts[#parts + 1] = ">"
  return table.concat(parts) .. table.concat { ... } .. "</" .. name .. ">"
end

-- ---- the page ----

local texts = {}

--- The text of a file of this folder.
function m.file(name)
  if not texts[name] then
    local folder = package.searchpath("mnistlua.web", package.path):match "^(.*)/"
    texts[name] = assert(core.read_file(folder .. "/" .. name, longest))
  end
  return texts[name]
end

-- What a page may do: run its own scripts, show its own pictures. `connect` lets it ask the server it came from.
local function policy(connect)
  return "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    .. ("connect-src %s; base-uri 'none'; form-action 'none'"):format(connect and "'self'" or "'none'")
end

local function each(names, before, after)
  local parts = {}
  for i, name in ipairs(names) do parts[i] = before .. m.file(name) .. after end
  return table.concat(parts, "\n")
end

-- Values for scripts, each in an element of its own, sorted by its id.
local function data_elements(values)
  local ids, parts = {}, {}
  for id in pairs(values) do ids[#ids + 1] = id end
  table.sort(ids)
  for i, id in ipairs(ids) do
    parts[i] = ('<script type="application/json" id="%s">'):format(id) .. m.json(values[id]) .. "</script>"
  end
  return table.concat(parts, "\n")
end

--- A whole page as text. given: title (text), body (HTML), data (values for the page's scripts by the id of the element
--- that holds their JSON), styles and scripts (names of files, in order), connect (whether it may ask its server).
function m.page(given)
  local fields = {
    title = m.escape(given.title), body = given.body, data = data_elements(given.data or {}),
    version = m.escape(core.version), policy = policy(given.connect),
    styles = each(given.styles, "<style>\n", "</style>"), scripts = each(given.scripts, "<script>\n", "</script>"),
  }
  return (m.file("page.html"):gsub("{{(%l+)}}", fields))
end

return m
