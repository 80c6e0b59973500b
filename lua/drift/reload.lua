-- reload.lua: drift.reload "my_block": builds a plugin and puts its new version in place of the one that runs, between
-- steps; see drift.hot_reload.
return require "drift.hot_reload".reload
