-- data_spec.lua: data sets as scripts see them, on the few images in tests/data.
local drift = require "drift"

local folder = os.getenv "DRIFT_TEST_DATA"
local data = drift.dataset.mnist { path = folder .. "/mnist" }

describe("a data set", function()
    it("has splits with a length, images, labels and information", function()
        local train = data.train
        assert.is_true(#train > 100)
        local image = train[1]
        assert.are.same({ 1, 1, 28, 28 }, image.shape)
        assert.is_true(image:amax():item() <= 1 and image:amax():item() > 0.5)
        local label = train:label(1)
        assert.is_true(label >= 0 and label < 10)
        assert.are.equal(tostring(label), train:class_name(label))
        local info = data.test.info
        assert.are.same({ 1, 28, 28, 10, #data.test }, { info.channels, info.height, info.width, info.classes, info.n })
        assert.is_nil(train[#train + 1])
        assert.has_error(function() return train[0] end)
        assert.has_error(function() return train[#train + 2] end)
        assert.has_error(function() return train:class_name(10) end)
        assert.has_error(function() return data.validation end)
    end)

    it("gives batches of chosen images", function()
        local images, labels = data.train:batch { 1, 5, 1 }
        assert.are.same({ 3, 1, 28, 28 }, images.shape)
        assert.are.same({ data.train:label(1), data.train:label(5), data.train:label(1) }, labels:totable())
        assert.are.equal(0, (images[1] - images[3]):abs():amax():item())
        assert.has_error(function() return data.train:batch { 0 } end)
    end)

    it("names what it did not find", function()
        local ok, message = pcall(function() return drift.dataset.image_folder { path = "/no/such/folder" }.train end)
        assert.is_false(ok)
        assert.is_truthy(message:find("/no/such/folder", 1, true), message)
    end)
end)

describe("a loader", function()
    it("gives each epoch's batches, in an order of its own that the seed decides", function()
        local loader = data:loader { batch = 16, seed = 3, limit = 40 }
        assert.are.equal(2, loader:batches())
        assert.are.equal(32, loader:samples())
        local batch = loader:read(1, 1)
        assert.are.same({ 16, 1, 28, 28 }, batch.image.shape)
        assert.are.equal("i32", batch.label.dtype)
        assert.are.same({ 16, 0 }, { batch.size, batch.first })
        assert.are.equal(32 + 16, loader:read(2, 2).first)
        local again = data:loader { batch = 16, seed = 3, limit = 40 }
        assert.are.same(batch.label:totable(), again:read(1, 1).label:totable())
        assert.are_not.same(batch.label:totable(), loader:read(2, 1).label:totable())
        assert.has_error(function() return loader:read(1, 3) end)
        assert.has_error(function() return loader:read(0, 1) end)
    end)

    it("goes over an epoch with for, the last batch as it may be", function()
        local seen, sizes = 0, {}
        local loader = data:loader { split = "test", batch = 16, shuffle = false, drop_last = false, limit = 40 }
        for i, batch in loader:epoch(1) do
            seen, sizes[i] = i, batch.size
        end
        assert.are.same({ 16, 16, 8 }, sizes)
        assert.are.equal(3, seen)
        assert.has_error(function() return data:loader {} end)
        assert.has_error(function() return data:loader { batch = 4, split = "tset" } end)
    end)

    it("leaves no memory behind", function()
        local loader = data:loader { batch = 16 }
        drift.scope(function() loader:read(1, 1) end)
        collectgarbage()
        local before = drift.device():memory().in_use
        for i = 1, 5 do drift.scope(function() loader:read(1, i) end) end
        assert.are.equal(before, drift.device():memory().in_use)
    end)
end)
