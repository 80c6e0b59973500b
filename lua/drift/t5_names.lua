-- t5_names.lua: the weights of a T5 encoder by Hugging Face's names, out of files that have more, or the embedding
-- under its second name: some published files hold it twice, some under that name alone, some with the decoder.
--   local W = drift.t5_names(drift.weights "text_encoder")
local shared <const>, again <const> = "shared.weight", "encoder.embed_tokens.weight"

return function(W)
  return W:renamed(function(name)
    if name == again then return not W:has(shared) and shared end
    if name:find "^decoder%." or name == "lm_head.weight" then return false end
  end)
end
