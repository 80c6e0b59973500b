-- Writes docs/editor/drift.lua, what an editor knows of the components, from the registry.
local drift = require "drift"
drift.write_file(drift.home .. "/docs/editor/drift.lua", drift.editor_annotations())
