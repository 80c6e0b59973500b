-- Writes docs/reference.md from the registry.
local drift = require "drift"
drift.write_file(drift.home .. "/docs/reference.md", drift.reference())
