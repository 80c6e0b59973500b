-- docs/reference.md says what the registry says.
local drift = require "drift"

describe("docs/reference.md", function()
  it("is what the registry makes of it", function()
    local written = drift.read_file(drift.home .. "/docs/reference.md")
    local has_cuda = false
    for _, c in ipairs(drift.components()) do has_cuda = has_cuda or c.kind == "backend" and c.name == "cuda" end
    if not has_cuda then written = written:gsub("### cuda\n.-\n(### )", "%1") end    -- built without a CUDA toolkit
    assert.is_true(written == drift.reference(), "out of date; write it again with: ./drift run docs/reference.lua")
  end)

  it("names every component", function()
    local text = drift.reference()
    for _, c in ipairs(drift.components()) do assert.truthy(text:find("### " .. c.name .. "\n", 1, true), c.kind .. " " .. c.name) end
  end)
end)
