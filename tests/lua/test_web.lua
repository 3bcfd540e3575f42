-- Pages: foreign text in them, and a model as the value that their scripts compute with.
local lu = require "luaunit"
local core = require "mnistlua.core"
local html = require "mnistlua.export.html"
local ml = require "mnistlua"
local network = require "mnistlua.web.network"
local web = require "mnistlua.web"
local nn = ml.nn

TestWeb = {}

function TestWeb:test_text_is_escaped()
  local cases = {
    { "plain 12", "plain 12" }, { "<b>\"'&", "&lt;b&gt;&quot;&#39;&amp;" }, { "a\27[31m\0b", "a\u{241B}[31m\u{2400}b" },
    { "x\ty\r\nz\127", "x\ty\nz\u{2421}" }, { "\xff\xc3ab\xe2\x82", "\u{FFFD}\u{FFFD}ab\u{FFFD}\u{FFFD}" },
    { "ü√", "ü√" }, { "\xed\xa0\x80", "\u{FFFD}\u{FFFD}\u{FFFD}" }, { 0.5, "0.5" },
  }
  for _, case in ipairs(cases) do lu.assertEquals(web.escape(case[1]), case[2]) end
end

function TestWeb:test_json_ends_no_script()
  local text = web.json { ["</script>"] = "<!--<script>", list = { 1, "a" } }
  lu.assertNil(text:find("<", 1, true))
  lu.assertEquals(core.json_decode(text), { ["</script>"] = "<!--<script>", list = { 1, "a" } })
end

function TestWeb:test_elements()
  lu.assertEquals(web.tag("td", { class = "a\"b", hidden = true, id = false }, "x", "<b>y</b>"),
    '<td class="a&quot;b" hidden>x<b>y</b></td>')
end

function TestWeb:test_placeholders_in_content_stay()
  local page = web.page {
    title = "{{body}}", body = "%1 {{title}}", styles = {}, scripts = {}, data = { d = "{{body}}" },
  }
  lu.assertStrContains(page, "<title>{{body}}</title>")
  lu.assertStrContains(page, "%1 {{title}}")
  lu.assertStrContains(page, '<script type="application/json" id="d">"{{body}}"</script>')
end

-- ---- models ----

local function digits(change)
  local data = ml.data.digits { n = 20 }
  return change and change(data) or data
end

local function built(layers, data)
  local model = nn.Sequential(layers)
  model:build(data:sample_shape())
  return model
end

function TestWeb:test_a_model_as_a_value()
  local data = digits()
  local model = built({ nn.Flatten(), nn.Linear(5), nn.BatchNorm1d(), nn.Linear(10) }, data)
  local spec = assert(network.of_data(model, data))
  lu.assertEquals(spec.input, { 28, 28 })
  lu.assertEquals({ spec.mean, spec.std }, data.train.normalise)
  lu.assertEquals(#spec.layers, 3)                      -- the batch norm is part of the layer before it
  lu.assertEquals(spec.names, { "0", "1", "2", "3", "4", "5", "6", "7", "8", "9" })
  lu.assertNil(spec.straightened)
  local text = web.json(spec)
  lu.assertEquals(#core.json_decode(text).layers[2].weight.values, (5 * 784 * 2 + 2) // 3 * 4)
end

function TestWeb:test_how_drawings_are_straightened()
  for how, change in pairs {
    centre = function(d) return d:centre() end, deskew = function(d) return d:centre():deskew():subset(1, 10) end,
  } do
    local data = digits(change)
    lu.assertEquals(network.of_data(built({ nn.Flatten(), nn.Linear(10) }, data), data).straightened, how)
  end
end

function TestWeb:test_models_that_no_page_computes()
  local data = digits()
  local rows = ml.data.tensors { x = ml.randn(8, 5), y = { 0, 1, 0, 1, 0, 1, 0, 1 } }
  local broken = built({ nn.Flatten(), nn.Linear(10) }, data)
  broken[2].weight:detach()[1][1] = 0 / 0
  local cases = {
    { built({ nn.GRU(28, 8), nn.Linear(10) }, data), data, "nn.GRU" },
    { built({ nn.Linear(10) }, rows), rows, "takes samples of 5, not pictures of 28x28" },
    { built({ nn.Flatten(), nn.Linear(1) }, data), data, "is no classifier" },
    { broken, data, "layer '1': expected finite numbers, found NaN or infinity" },
  }
  for _, case in ipairs(cases) do
    local page, problem = html.page("x", case[1], case[2])
    lu.assertNil(page)
    lu.assertStrContains(problem, case[3])
  end
end
