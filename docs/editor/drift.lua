---@meta drift
-- Made from the registry by `./drift run docs/editor.lua`: do not edit. For editors alone: the program never loads it.

---@class drift.models
---@field adm_unet function # the UNet of ADM, and of DDPM++ by its options
---@field cs180_unet function # the UNet of the digit experiments, for 28x28 images
---@field deepfloyd_if function # the UNet of DeepFloyd IF, stage I and II, or any network of that form, as its config.json says
---@field digit_classifier function # a small convolutional network that reads digits, for 28x28 images in [0,1]
---@field dit function # the diffusion transformer, small enough for digits
---@field improved_unet function # the digits' UNet with what the diffusion papers added: residual blocks, GroupNorm, SiLU, attention at 7x7, and AdaGN for time and class
---@field t5_encoder function # the encoder of T5, v1.1 (and v1.0), as its config.json says

---@class drift.edit
---@field anagram function # one picture that is several things, each seen in its own view
---@field blurred function # the classical denoiser to compare with: a Gaussian blur, which knows nothing of pictures
---@field hybrid function # one picture that is one thing from afar and another near by
---@field image_to_image function # a picture noised to a step of the grid and denoised from there: it keeps what that noise leaves
---@field inpaint function # the pixels under a mask are made, those around it are known
---@field iterative function # denoising step by step, from any index on the grid, by the generator's sampler
---@field noised function # the forward process, x_t = alpha_t x_0 + sigma_t eps
---@field one_step function # the network's estimate of the clean picture, in one step:  x_0 = (x_t - sigma_t eps(x_t, t)) / alpha_t (or what the process makes of its prediction)
---@field upscale function # a picture of any size, enlarged by a model that sees it beside its noise (stage II of DeepFloyd IF)

---@class drift.generators
---@field deepfloyd_if function # DeepFloyd IF as a model to edit with: stage I (pictures of 64 x 64) or stage II (which enlarges to 256)
---@field digits function # a class-conditional model of digits to edit with, whose weights nobody downloads: trained once and kept

---@class drift.library
---@field accept function # the named arguments of a function, checked: an unknown one is an error with a did-you-mean, a required one must be there
---@field animation function # a GIF of canvases, the last one held for a while
---@field arange function
---@field average function # averages of a network's weights over training: one set of weights more, moved a little after each step
---@field batch_levels function
---@field bench function
---@field bootstrap function
---@field canvas function
---@field centre_mask function # a mask whose middle is to be made: a rectangle of half the picture's height and width
---@field check_command function # what `drift check` does: all that can be tested of the components that plugins and Lua files add
---@field checkpoint table # all of a training in one file: weights and buffers ("net."), the optimizer's state ("optim."), averages of the weights ("ema.1.", "ema.2.", ...), and where it stands, the number of lines in metrics.jsonl included
---@field class_grid function # samples that were drawn with classes in turn (0, 1, .., K-1, 0, ..), one column a class
---@field clean_caption function # a caption from the web as DeepFloyd IF's text encoder saw it in training: without links, markup, file and article names, shop talk and ornaments
---@field clock function
---@field compare_command function # drift compare A.lua B.lua ..
---@field component function
---@field components function
---@field condition_rows function # the conditions of n images, checked, and those of some of the images
---@field conditioning_for function # the conditioning of a model's sites, as scripts may say it
---@field cpus function
---@field crc32c function # CRC-32C (Castagnoli), the checksum of TensorBoard's event files
---@field dashboard function
---@field deepfloyd_if_names table # DeepFloyd IF's UNet as its first release names its tensors (input_blocks.3.1.qkv), seen under diffusers' names (down_blocks.0.attentions.2.to_q), and the configuration that a file's names and shapes tell
---@field define table # components written in Lua
---@field devices function
---@field digit_classifier function # the trained reader of digits that ships with Drift, in evaluation mode
---@field doctor table
---@field doctor_command function # what `drift doctor` does: says what is there, what is missing, and what to do about it
---@field draw_times function
---@field edit_arguments function # what all edits take, checked once
---@field edit_with_guidance function # an edit under one more guidance, around those that it has
---@field editing_experiment function # an experiment with a model that was trained already (spec A): drift.experiment with the parameters that name the model, and that model as a generator
---@field editing_images function # the pictures that an experiment is to edit, its parameter `image`: paths, several with "|"
---@field editor_annotations function # docs/editor/drift.lua, made from the registry: every component as a function with LuaLS's annotations, so that an editor completes parameters and shows their types, defaults and docs
---@field embeddings table # what a text encoder made of prompts, kept with them: most people compute these once
---@field evaluate function # how good generated images are, as a table of metrics with intervals
---@field evaluation_images function # the images that a measurement is made on, from its options: images = [N,C,H,W] with labels = [N], a list or nil; or data = a data set, n of whose test images are taken, evenly spaced, with their labels (none where labels = false)
---@field event_file function # the bytes of TensorBoard's event files
---@field exists function
---@field export table
---@field exports function
---@field fail function
---@field files function
---@field from_string function
---@field full function
---@field generator function # a model that one can edit with, whatever it is: a digit model of this repository, DeepFloyd IF
---@field generator_of function # the generator of a folder, whatever is in it: a pretrained DeepFloyd IF (drift.generators.deepfloyd_if) or a run of this program that trained a model of classes (drift.generators.digits)
---@field gif function
---@field grad_enabled function
---@field group_count function # how many groups a GroupNorm has, as the blocks choose it: the largest divisor of the channels up to `most` that leaves 4 channels or more to a group
---@field help function # the texts of `drift list` and `drift help NAME`, made from the registry and from lua/drift/models
---@field hidden_files function
---@field hot_reload table # a plugin's new version in place of the one that runs, between steps of a training
---@field in_eval_mode function # networks in evaluation mode while a function runs, each back in its own mode after it
---@field interrupted function
---@field is_folder function
---@field isatty function
---@field join_averages function # averages of weights are moved in the optimizer's own pass over them, where it can do that
---@field json table
---@field kernels function
---@field likelihood function # bits per dimension of images under a model, along its probability-flow ODE
---@field list function
---@field load_plugin function
---@field load_tensors function
---@field loss_curve function # the training loss of a run as loss.svg in its folder
---@field loss_curves function # training losses of one or more runs in one SVG: every step faintly, smoothed, and each epoch's mean as a dot
---@field mean_image function # the mean of all images of a split: drift.mean_image(data.train) -> [C,H,W]
---@field memory function
---@field methods function # the two ways of part B to make digits of noise, with the numbers of the spec, for scripts that try both
---@field metrics_csv function # a run's metrics.jsonl as metrics.csv, for spreadsheets and data frames
---@field mkdir function
---@field model_folder function # a pretrained model as users have it: a diffusers folder (model_index.json, unet/, scheduler/, text_encoder/, tokenizer/; also as it lies in Hugging Face's cache), its unet/ folder alone, or one file of weights, also of DeepFloyd IF's first release
---@field named_view function # the views that a command line can name, for a generator's pictures
---@field nearest function
---@field new_command function # drift new KIND NAME          a plugin of your own to start from, in the folder NAME drift new KIND NAME --lua    the same component written in Lua, which needs no compiler
---@field noise_batch function
---@field noise_level_curve function # errors against noise level, one line for each of several models, both axes logarithmic; the band around a line is its interval
---@field noise_levels function # how far a model's estimates are off, noise level by noise level, on a fixed set of (x0, eps, t): the same numbers for any process and parametrisation, so that their models can be compared
---@field noising function
---@field note function
---@field npy table # NumPy's .npy files: one tensor of floating-point numbers
---@field on_note function
---@field one_of_each function # the first image of each class of a split, for pictures: drift.one_of_each(data.test) -> [K,C,H,W], the classes' names in order
---@field open function
---@field optimizer function
---@field parse function
---@field peak_memory function
---@field plan function
---@field plans function
---@field plugins function
---@field png function
---@field post_hoc_ema function # after training, the average of the weights of a width that was not kept: a sum of the snapshots of power-function averages that were
---@field precision function # what networks compute in
---@field prediction_to function
---@field profiling function
---@field program function
---@field progress function # how far a long piece of work is
---@field prompt function # a prompt as DeepFloyd IF's text encoder wants it: in lower case, without white space at its ends
---@field prompts function # what a command line says to condition on, as a generator takes it: prompts or classes, several with "|"
---@field read_digits function # what the classifier that is shipped takes images for
---@field read_file function
---@field read_image function # a PNG or JPEG of any size as a picture that a network can take
---@field read_json function # a JSON file's value, with the file's name in what goes wrong:  drift.read_json "unet/config.json"
---@field read_mask function # which pixels are to be made (1, white) and which are known (0, black)
---@field read_metrics function # the records of a run's metrics.jsonl, in their order:  drift.read_metrics "runs/mnist_flow"
---@field reference function # docs/reference.md, made from the registry: every component with its parameters, as the schema has them
---@field reflow_pairs function # a model's own pairs of noise and image, as a file to train again on
---@field renoise function
---@field repaint_schedule function # in which order RePaint walks the steps of a grid
---@field repl table
---@field repl_command function # the prompt, `drift` without a command: Lua, line by line, with all of Drift at hand
---@field sample_command function # what `drift sample` does: pictures from a pretrained model, or from a run of this program, on disk
---@field sample_figures function # the pictures that show what a generative model draws, while it is trained and after
---@field save_tensors function
---@field scheduler_config table # what the scheduler_config.json of a diffusers DDPMScheduler says, in Drift's words
---@field seed function
---@field set_order table
---@field sha256 function
---@field sha256_file function
---@field share function # of how many of n cases something holds, with Wilson's 95% interval, which is not empty at 0% and 100%
---@field show function # a picture in the terminal, two pixels to a character ("▀" with a foreground and a background colour; shades with NO_COLOR)
---@field side_by_side function # trains variants of one experiment on the same batches, noise and initial weights, and lays their losses and samples side by side
---@field sleep function
---@field spawn function
---@field spec table # specs
---@field straightness function # how far a model's paths from noise to data are from straight lines: 0 where a single Euler step lands as well as many
---@field sweep_command function # drift sweep SCRIPT key=a,b,c ...: a grid of a script's parameters, each point a variant, with the same seeds
---@field t5_config function # what the config.json of a T5 encoder says, checked: every key is used, changes nothing in an encoder, or is refused by its name and value
---@field t5_names function # the weights of a T5 encoder by Hugging Face's names, out of files that have more, or the embedding under its second name: some published files hold it twice, some under that name alone, some with the decoder
---@field tensorboard function # a run's numbers and pictures as an event file that TensorBoard reads: tensorboard --logdir runs
---@field terminal_size function
---@field text_encoder function # prompts as the tokens that an image model is conditioned on, by a T5 encoder
---@field text_size function
---@field trace function
---@field train_step function # one step of training, as drift.train takes it and drift bench measures it
---@field trained function # a run's network and process again, from its folder: what config.json describes, with the weights of its checkpoint, in evaluation mode
---@field trajectory function # the way from noise to images, as labelled frames and a GIF of them
---@field type function
---@field unet_config function # what the config.json of a diffusers UNet (UNet2DConditionModel) says, checked, for the networks of DeepFloyd IF's form: every key is used, changes nothing in this form, or is refused by its name and value
---@field unicode_case table # lower case in Unicode 14.0.0, made by unicode_case.py: do not edit
---@field uniform function
---@field use function
---@field watch table
---@field watch_command function # what `drift watch` does: a page of a run or a comparison that grows while it is made
---@field weights function # a model's tensors by name, out of safetensors files that stay mapped: nothing is copied, and opening takes as long as reading the headers
---@field where function
---@field within function
---@field write_file function
---@field writer function
local drift = {}

---@class drift.spec.backend: drift.spec

---@class drift.kind.backend
drift.backend = {}

---@class drift.backend.cpu.params
---@field threads? integer # threads to use; 0: all cores that the process may run on (default 0; 0 to 4096)

---The processor: oneDNN and own vector kernels, f32 and bf16
---@param params? drift.backend.cpu.params
---@return drift.spec.backend
function drift.backend.cpu(params) end

---@class drift.backend.cuda.params
---@field index? integer # which device; drift devices lists them (default 0; 0 to 1023)
---@field deterministic? boolean # only engines and kernels whose results do not change from run to run (default true)
---@field tf32? boolean # products and convolutions of f32 may round their factors to 10 bits (TF32) (default false)
---@field batch_invariant? boolean # an image's bits do not depend on its batch: no library chooses by it; slower (default false)

---An NVIDIA GPU: cuDNN, cuBLASLt and own kernels, f32, TF32 and bf16
---@param params? drift.backend.cuda.params
---@return drift.spec.backend
function drift.backend.cuda(params) end

---@class drift.backend.null.params

---Shapes only: no memory, nothing is computed, results read as zeros
---@param params? drift.backend.null.params
---@return drift.spec.backend
function drift.backend.null(params) end

---@class drift.backend.ref.params

---The reference: plain loops in double precision; slow
---@param params? drift.backend.ref.params
---@return drift.spec.backend
function drift.backend.ref(params) end

---@alias drift.block.name "added_kv_attention"|"attention_pool"|"batch_norm"|"conv"|"conv2d"|"conv_block"|"conv_transpose2d"|"down_block"|"down_conv"|"fc_block"|"flatten"|"fourier_embedding"|"group_norm"|"layer_norm"|"linear"|"multi_head_attention"|"patch_embed"|"pooled_text"|"res_block"|"resnet_block"|"rms_norm"|"self_attention"|"sinusoidal_embedding"|"t5_attention"|"t5_block"|"t5_feed_forward"|"time_mlp"|"transformer_block"|"unflatten"|"unpatchify"|"up_block"|"up_conv"
---@class drift.spec.block: drift.spec

---@class drift.kind.block
drift.block = {}

---@class drift.block.added_kv_attention.params
---@field channels integer # channels of input and output (1 to 65536)
---@field token_features integer # size of a token (1 to 65536)
---@field heads? integer # heads; divides channels (default 1; 1 to 65536)
---@field groups? integer # groups of the map's GroupNorm; divides channels (default 32; 1 to 65536)
---@field token_groups? integer # groups of the tokens' GroupNorm; divides token_features. 0: none (default 32; 0 to 65536)
---@field eps? number # added to the variances (default 1e-05; 1e-12 to 1)
---@field only_cross_attention? boolean # pixels attend to tokens alone (default false)

---Pixels attend to a text's tokens and to each other
---@param params drift.block.added_kv_attention.params
---@return drift.spec.block
function drift.block.added_kv_attention(params) end

---@class drift.block.attention_pool.params
---@field features integer # size of a token, and of the result (1 to 65536)
---@field heads? integer # heads; divides features (default 1; 1 to 65536)

---Tokens as one vector, by attention of their mean
---@param params drift.block.attention_pool.params
---@return drift.spec.block
function drift.block.attention_pool(params) end

---@class drift.block.batch_norm.params
---@field num_features integer # channels (1 to 65536)
---@field eps? number # added to the variance (default 1e-05; 1e-12 to 1)
---@field momentum? number # share of the new batch in the running statistics (default 0.1; 0 to 1)
---@field act? "none"|"relu"|"gelu"|"gelu_tanh"|"silu" # activation that follows (default "none")

---Batch normalisation, with the activation that follows
---@param params drift.block.batch_norm.params
---@return drift.spec.block
function drift.block.batch_norm(params) end

---@class drift.block.conv.params
---@field in_channels integer # channels of the input (1 to 65536)
---@field out_channels integer # channels of the output (1 to 65536)

---Conv: 3x3 convolution, BatchNorm, GELU
---@param params drift.block.conv.params
---@return drift.spec.block
function drift.block.conv(params) end

---@class drift.block.conv2d.params
---@field in_channels integer # channels of the input (1 to 65536)
---@field out_channels integer # channels of the output (1 to 65536)
---@field kernel_size integer # side of the square kernel, in pixels (1 to 255)
---@field stride? integer # pixels from one output to the next (default 1; 1 to 255)
---@field padding? integer # zeros around the input, in pixels (default 0; 0 to 255)
---@field bias? boolean # add a number per output channel (default true)
---@field init? "fan_in"|"zero" # how the weights start; zero: a residual branch that begins as nothing (default "fan_in")

---2-D convolution
---@param params drift.block.conv2d.params
---@return drift.spec.block
function drift.block.conv2d(params) end

---@class drift.block.conv_block.params
---@field in_channels integer # channels of the input (1 to 65536)
---@field out_channels integer # channels of the output (1 to 65536)
---@field residual? boolean # add the input, through a 1x1 convolution where the channels differ (default false)

---ConvBlock: two Convs, optionally residual
---@param params drift.block.conv_block.params
---@return drift.spec.block
function drift.block.conv_block(params) end

---@class drift.block.conv_transpose2d.params
---@field in_channels integer # channels of the input (1 to 65536)
---@field out_channels integer # channels of the output (1 to 65536)
---@field kernel_size integer # side of the square kernel, in pixels (1 to 255)
---@field stride? integer # output pixels per input pixel (default 1; 1 to 255)
---@field padding? integer # pixels cut off around the output (default 0; 0 to 255)
---@field bias? boolean # add a number per output channel (default true)

---2-D transposed convolution
---@param params drift.block.conv_transpose2d.params
---@return drift.spec.block
function drift.block.conv_transpose2d(params) end

---@class drift.block.down_block.params
---@field in_channels integer # channels of the input (1 to 65536)
---@field out_channels integer # channels of the output (1 to 65536)
---@field residual? boolean # the ConvBlock adds its input to its output (default false)

---DownBlock: DownConv, ConvBlock
---@param params drift.block.down_block.params
---@return drift.spec.block
function drift.block.down_block(params) end

---@class drift.block.down_conv.params
---@field in_channels integer # channels of the input (1 to 65536)
---@field out_channels integer # channels of the output (1 to 65536)

---DownConv: 3x3 convolution of stride 2, BatchNorm, GELU
---@param params drift.block.down_conv.params
---@return drift.spec.block
function drift.block.down_conv(params) end

---@class drift.block.fc_block.params
---@field in_features integer # size of the input's last axis (1 to 16777216)
---@field out_features integer # size of the output's last axis (1 to 16777216)

---FCBlock: Linear, GELU, Linear
---@param params drift.block.fc_block.params
---@return drift.spec.block
function drift.block.fc_block(params) end

---@class drift.block.flatten.params
---@field kernel_size? integer # side of the averaged square, in pixels (default 7; 1 to 4096)

---Flatten: average pooling, GELU
---@param params? drift.block.flatten.params
---@return drift.spec.block
function drift.block.flatten(params) end

---@class drift.block.fourier_embedding.params
---@field dim? integer # length of the embedding; even (default 128; 2 to 65536)
---@field scale? number # deviation of the frequencies, in waves per unit of time (default 16; 1e-06 to 1000000)

---A time as waves of random frequencies: [B] -> [B,dim]
---@param params? drift.block.fourier_embedding.params
---@return drift.spec.block
function drift.block.fourier_embedding(params) end

---@class drift.block.group_norm.params
---@field num_groups integer # groups; divides num_channels (1 to 65536)
---@field num_channels integer # channels (1 to 65536)
---@field eps? number # added to the variance (default 1e-05; 1e-12 to 1)
---@field act? "none"|"relu"|"gelu"|"gelu_tanh"|"silu" # activation that follows (default "none")

---Group normalisation, with the activation that follows
---@param params drift.block.group_norm.params
---@return drift.spec.block
function drift.block.group_norm(params) end

---@class drift.block.layer_norm.params
---@field normalized_shape integer # size of the last axis (1 to 16777216)
---@field eps? number # added to the variance (default 1e-05; 1e-12 to 1)
---@field elementwise_affine? boolean # learn weight and bias (default true)

---Layer normalisation over the last axis
---@param params drift.block.layer_norm.params
---@return drift.spec.block
function drift.block.layer_norm(params) end

---@class drift.block.linear.params
---@field in_features integer # size of the input's last axis (1 to 16777216)
---@field out_features integer # size of the output's last axis (1 to 16777216)
---@field bias? boolean # add a number per output feature (default true)
---@field init? "fan_in"|"zero" # how the weights start; zero: a residual branch that begins as nothing (default "fan_in")

---Fully connected layer
---@param params drift.block.linear.params
---@return drift.spec.block
function drift.block.linear(params) end

---@class drift.block.multi_head_attention.params
---@field dim integer # size of a token (1 to 65536)
---@field heads? integer # heads; divides dim (default 1; 1 to 65536)
---@field context_dim? integer # size of a token of the context; 0: dim (default 0; 0 to 65536)
---@field init? "fan_in"|"zero" # how the projection of the output starts (default "fan_in")

---Multi-head attention over tokens, of themselves or of a context
---@param params drift.block.multi_head_attention.params
---@return drift.spec.block
function drift.block.multi_head_attention(params) end

---@class drift.block.patch_embed.params
---@field in_channels integer # channels of the image (1 to 65536)
---@field dim integer # size of a token (1 to 65536)
---@field patch? integer # side of a patch, in pixels; divides the image's sides (default 2; 1 to 255)
---@field positions? boolean # add the fixed positions; dim is then a multiple of 4 (default true)

---An image as tokens of its patches, with fixed 2-D positions
---@param params drift.block.patch_embed.params
---@return drift.spec.block
function drift.block.patch_embed(params) end

---@class drift.block.pooled_text.params
---@field token_features integer # size of a token (1 to 65536)
---@field out_features integer # size of the result: of the time's vector (1 to 65536)
---@field heads? integer # heads of the pooling attention; divides token_features (default 64; 1 to 65536)

---A text's tokens as a vector: norm, attention pooling, projection, norm
---@param params drift.block.pooled_text.params
---@return drift.spec.block
function drift.block.pooled_text(params) end

---@class drift.block.res_block.params
---@field in_channels integer # channels of the input (1 to 65536)
---@field out_channels integer # channels of the output, and of the site (1 to 65536)
---@field groups? integer # groups of a GroupNorm: up to this, as divides its channels, and 4 channels or more each (default 32; 1 to 65536)
---@field site? "before_norm"|"after_norm"|"instead_of_norm" # the site and the second norm (default "before_norm")
---@field resample? "none"|"down"|"up" # the image is halved, or doubled (default "none")
---@field dropout? number # share of values dropped before the second convolution (default 0; 0 to 0.99)
---@field skip_scale? number # the sum is multiplied by it; 0.7071 keeps the variance (DDPM++) (default 1; 0.001 to 1)
---@field init? "fan_in"|"zero" # how the second convolution starts; zero: the block begins as its skip (default "fan_in")

---Residual block of diffusion UNets, with a site for the conditioning
---@param params drift.block.res_block.params
---@return drift.spec.block
function drift.block.res_block(params) end

---@class drift.block.resnet_block.params
---@field in_channels integer # channels of the input (1 to 65536)
---@field out_channels integer # channels of the output (1 to 65536)
---@field emb_features integer # length of the time's vector (1 to 65536)
---@field groups? integer # groups of a GroupNorm; divides in_channels and out_channels (default 32; 1 to 65536)
---@field eps? number # added to the variances (default 1e-05; 1e-12 to 1)
---@field act? "none"|"relu"|"gelu"|"gelu_tanh"|"silu" # activation behind the norms and before time_emb_proj (default "silu")
---@field time_embedding_norm? "default"|"scale_shift" # how the time enters (default "scale_shift")
---@field skip_time_act? boolean # the vector is not activated here (default false)
---@field resample? "none"|"down"|"up" # the image is halved, or doubled (default "none")
---@field dropout? number # share of values dropped before the second convolution (default 0; 0 to 0.99)
---@field output_scale_factor? number # the sum is divided by it (default 1; 0.001 to 1000)

---Residual block with its own projection of the time's vector
---@param params drift.block.resnet_block.params
---@return drift.spec.block
function drift.block.resnet_block(params) end

---@class drift.block.rms_norm.params
---@field normalized_shape integer # size of the last axis (1 to 16777216)
---@field eps? number # added to the mean square (default 1e-06; 1e-12 to 1)

---Normalisation by the root mean square of the last axis
---@param params drift.block.rms_norm.params
---@return drift.spec.block
function drift.block.rms_norm(params) end

---@class drift.block.self_attention.params
---@field channels integer # channels of input and output (1 to 65536)
---@field heads? integer # heads; divides channels (default 1; 1 to 65536)
---@field groups? integer # groups of the GroupNorm: up to this, as divides channels, and 4 channels or more each (default 32; 1 to 65536)
---@field skip_scale? number # the sum is multiplied by it; 0.7071 keeps the variance (DDPM++) (default 1; 0.001 to 1)
---@field init? "fan_in"|"zero" # how the last projection starts; zero: the block begins as x (default "fan_in")

---Self-attention over the pixels of a map
---@param params drift.block.self_attention.params
---@return drift.spec.block
function drift.block.self_attention(params) end

---@class drift.block.sinusoidal_embedding.params
---@field dim? integer # length of the embedding (default 128; 2 to 65536)
---@field scale? number # the time is multiplied by it (default 1000; 1e-06 to 1000000000)
---@field max_period? number # the slowest wave's period is 2 pi times this (default 10000; 1 to 1e+12)
---@field flip? boolean # cosines first (default false)

---A time as sines and cosines: [B] -> [B,dim]
---@param params? drift.block.sinusoidal_embedding.params
---@return drift.spec.block
function drift.block.sinusoidal_embedding(params) end

---@class drift.block.t5_attention.params
---@field dim integer # size of a token (d_model) (1 to 65536)
---@field heads? integer # heads (num_heads) (default 1; 1 to 65536)
---@field head_dim? integer # size of a head (d_kv); heads of them need not make dim (default 64; 1 to 65536)

---T5's self-attention: no 1/sqrt(d), a bias by relative position
---@param params drift.block.t5_attention.params
---@return drift.spec.block
function drift.block.t5_attention(params) end

---@class drift.block.t5_block.params
---@field dim integer # size of a token (d_model) (1 to 65536)
---@field heads? integer # heads (num_heads) (default 1; 1 to 65536)
---@field head_dim? integer # size of a head (d_kv) (default 64; 1 to 65536)
---@field hidden integer # hidden size of the feed-forward network (d_ff) (1 to 16777216)
---@field gated? boolean # the feed-forward network is gated (v1.1) (default true)
---@field act? "gelu_tanh"|"gelu"|"relu"|"silu" # its activation (default "gelu_tanh")
---@field eps? number # of the norms (layer_norm_epsilon) (default 1e-06; 1e-12 to 1)

---A block of T5's encoder
---@param params drift.block.t5_block.params
---@return drift.spec.block
function drift.block.t5_block(params) end

---@class drift.block.t5_feed_forward.params
---@field dim integer # size of a token (d_model) (1 to 65536)
---@field hidden integer # hidden size (d_ff) (1 to 16777216)
---@field gated? boolean # a second projection multiplies the first (default true)
---@field act? "gelu_tanh"|"gelu"|"relu"|"silu" # the activation (default "gelu_tanh")

---T5's feed-forward network, gated or plain
---@param params drift.block.t5_feed_forward.params
---@return drift.spec.block
function drift.block.t5_feed_forward(params) end

---@class drift.block.time_mlp.params
---@field dim integer # length of S(t) (2 to 65536)
---@field out_features integer # length of the vector (1 to 65536)
---@field act? "none"|"relu"|"gelu"|"gelu_tanh"|"silu" # activation between the layers (default "silu")
---@field flip? boolean # cosines first (default true)
---@field freq_shift? number # 1: the last wave's period is exactly 2 pi 10000 (default 0; 0 to 1)

---A time as waves, and the two layers behind them
---@param params drift.block.time_mlp.params
---@return drift.spec.block
function drift.block.time_mlp(params) end

---@class drift.block.transformer_block.params
---@field dim integer # size of a token, and of both sites (1 to 65536)
---@field heads? integer # heads of the attention; divides dim (default 4; 1 to 65536)
---@field mlp_ratio? number # hidden size of the two-layer network, in dims (default 4; 0.01 to 100)
---@field norm? boolean # a LayerNorm before each site; false where the scheme normalises (adaln_zero) (default true)

---Transformer block with two sites for the conditioning
---@param params drift.block.transformer_block.params
---@return drift.spec.block
function drift.block.transformer_block(params) end

---@class drift.block.unflatten.params
---@field channels integer # channels of input and output (1 to 65536)
---@field kernel_size? integer # side of the output, in pixels per input pixel (default 7; 1 to 255)

---Unflatten: 7x7 transposed convolution of stride 7, BatchNorm, GELU
---@param params drift.block.unflatten.params
---@return drift.spec.block
function drift.block.unflatten(params) end

---@class drift.block.unpatchify.params
---@field dim integer # size of a token (1 to 65536)
---@field out_channels integer # channels of the image (1 to 65536)
---@field patch? integer # side of a patch, in pixels (default 2; 1 to 255)
---@field columns? integer # tokens in a row of the image; 0: the image is square (default 0; 0 to 65536)
---@field init? "fan_in"|"zero" # how the weights start (default "fan_in")

---Tokens as the patches of an image
---@param params drift.block.unpatchify.params
---@return drift.spec.block
function drift.block.unpatchify(params) end

---@class drift.block.up_block.params
---@field in_channels integer # channels of the input (1 to 65536)
---@field out_channels integer # channels of the output (1 to 65536)
---@field residual? boolean # the ConvBlock adds its input to its output (default false)

---UpBlock: UpConv, ConvBlock
---@param params drift.block.up_block.params
---@return drift.spec.block
function drift.block.up_block(params) end

---@class drift.block.up_conv.params
---@field in_channels integer # channels of the input (1 to 65536)
---@field out_channels integer # channels of the output (1 to 65536)

---UpConv: 4x4 transposed convolution of stride 2, BatchNorm, GELU
---@param params drift.block.up_conv.params
---@return drift.spec.block
function drift.block.up_conv(params) end

---@alias drift.clip.name "dynamic_threshold"|"range"
---@class drift.spec.clip: drift.spec

---@class drift.kind.clip
drift.clip = {}

---@class drift.clip.dynamic_threshold.params
---@field ratio? number # share of an image's values that lie within the threshold (default 0.95; 0 to 1)
---@field max? number # largest threshold (default 1.5; 1 to 1000000)

---Cut at a quantile of each image's values, scaled back to [-1, 1]
---@param params? drift.clip.dynamic_threshold.params
---@return drift.spec.clip
function drift.clip.dynamic_threshold(params) end

---@class drift.clip.range.params
---@field min? number # darkest value of the data (default -1; -1000000 to 1000000)
---@field max? number # brightest value of the data (default 1; -1000000 to 1000000)

---Within [min, max], pixel by pixel
---@param params? drift.clip.range.params
---@return drift.spec.clip
function drift.clip.range(params) end

---@alias drift.conditioning.name "adagn"|"adaln_zero"|"class_time"|"cross_attention"|"embedding_add"|"film"|"time_add"|"time_scale"
---@class drift.spec.conditioning: drift.spec

---@class drift.kind.conditioning
drift.conditioning = {}

---@class drift.conditioning.adagn.params
---@field channels? integer[] # widths of the sites in the network, in order; required (default {}; 1 to 65536)
---@field classes? integer # labels go from 0 to classes - 1; 0: time alone (default 10; 0 to 1048576)
---@field width? integer # length of the vector that time and class become (default 128; 1 to 65536)
---@field time? drift.spec.block|drift.block.name # block that embeds the time, from [B,1] to [B,any] (default "sinusoidal_embedding")
---@field groups? integer # groups of channels: up to this, as divides a site's width, and 4 channels or more each (default 32; 1 to 65536)
---@field eps? number # added to the variance (default 1e-05; 1e-12 to 1)

---AdaGN: (1 + s) GroupNorm(h) + b
---@param params? drift.conditioning.adagn.params
---@return drift.spec.conditioning
function drift.conditioning.adagn(params) end

---@class drift.conditioning.adaln_zero.params
---@field channels? integer[] # widths of the sites in the network, in order; required (default {}; 1 to 65536)
---@field classes? integer # labels go from 0 to classes - 1; 0: time alone (default 10; 0 to 1048576)
---@field width? integer # length of the vector that time and class become (default 128; 1 to 65536)
---@field time? drift.spec.block|drift.block.name # block that embeds the time, from [B,1] to [B,any] (default "sinusoidal_embedding")
---@field eps? number # added to the variance (default 1e-06; 1e-12 to 1)

---AdaLN-zero: (1 + s) LayerNorm(h) + b, branches gated by g = 0 at first
---@param params? drift.conditioning.adaln_zero.params
---@return drift.spec.conditioning
function drift.conditioning.adaln_zero(params) end

---@class drift.conditioning.class_time.params
---@field channels? integer[] # widths of the sites in the network, in order; required (default {}; 1 to 65536)
---@field classes? integer # labels go from 0 to classes - 1 (default 10; 1 to 1048576)
---@field inject? "scale"|"add" # how the class enters: c h + t or h + c + t (default "scale")

---Class multiplied (or added), time added: c_i(c) * h + t_i(t)
---@param params? drift.conditioning.class_time.params
---@return drift.spec.conditioning
function drift.conditioning.class_time(params) end

---@class drift.conditioning.cross_attention.params
---@field channels? integer[] # widths of the sites in the network, in order; required (default {}; 1 to 65536)
---@field classes? integer # labels go from 0 to classes - 1; 0: time alone (default 10; 0 to 1048576)
---@field width? integer # length of the vector that time and class become (default 128; 1 to 65536)
---@field time? drift.spec.block|drift.block.name # block that embeds the time, from [B,1] to [B,any] (default "sinusoidal_embedding")
---@field heads? integer # heads; divides the widths of all sites (default 1; 1 to 65536)
---@field groups? integer # groups of a GroupNorm: up to this, as divides a site's width, and 4 channels or more each (default 32; 1 to 65536)
---@field token_dim? integer # size of the given tokens; 0: there are none (default 0; 0 to 65536)

---Cross-attention: the map's pixels attend to tokens of time, class and text
---@param params? drift.conditioning.cross_attention.params
---@return drift.spec.conditioning
function drift.conditioning.cross_attention(params) end

---@class drift.conditioning.embedding_add.params
---@field channels? integer[] # widths of the sites in the network, in order; required (default {}; 1 to 65536)
---@field classes? integer # labels go from 0 to classes - 1; 0: time alone (default 10; 0 to 1048576)
---@field width? integer # length of the vector that time and class become (default 128; 1 to 65536)
---@field time? drift.spec.block|drift.block.name # block that embeds the time, from [B,1] to [B,any] (default "sinusoidal_embedding")

---The embedding of time and class, added (DDPM)
---@param params? drift.conditioning.embedding_add.params
---@return drift.spec.conditioning
function drift.conditioning.embedding_add(params) end

---@class drift.conditioning.film.params
---@field channels? integer[] # widths of the sites in the network, in order; required (default {}; 1 to 65536)
---@field classes? integer # labels go from 0 to classes - 1; 0: time alone (default 10; 0 to 1048576)
---@field width? integer # length of the vector that time and class become (default 128; 1 to 65536)
---@field time? drift.spec.block|drift.block.name # block that embeds the time, from [B,1] to [B,any] (default "sinusoidal_embedding")

---FiLM: gamma h + beta
---@param params? drift.conditioning.film.params
---@return drift.spec.conditioning
function drift.conditioning.film(params) end

---@class drift.conditioning.time_add.params
---@field channels? integer[] # widths of the sites in the network, in order; required (default {}; 1 to 65536)

---Time, added: h + t_i(t)
---@param params? drift.conditioning.time_add.params
---@return drift.spec.conditioning
function drift.conditioning.time_add(params) end

---@class drift.conditioning.time_scale.params
---@field channels? integer[] # widths of the sites in the network, in order; required (default {}; 1 to 65536)

---Time, multiplied: h * t_i(t)
---@param params? drift.conditioning.time_scale.params
---@return drift.spec.conditioning
function drift.conditioning.time_scale(params) end

---@alias drift.coupling.name "independent"|"minibatch_ot"
---@class drift.spec.coupling: drift.spec

---@class drift.kind.coupling
drift.coupling = {}

---@class drift.coupling.independent.params

---Image i goes with noise i
---@param params? drift.coupling.independent.params
---@return drift.spec.coupling
function drift.coupling.independent(params) end

---@class drift.coupling.minibatch_ot.params
---@field class_aware? boolean # pair within each class only, for networks that are told the class (default false)

---Exact optimal transport within the batch; the pairs depend on the batch's size and rows
---@param params? drift.coupling.minibatch_ot.params
---@return drift.spec.coupling
function drift.coupling.minibatch_ot(params) end

---@alias drift.dataset.name "fashion_mnist"|"image_folder"|"mnist"|"pairs"
---@class drift.spec.dataset: drift.spec

---@class drift.kind.dataset
drift.dataset = {}

---@class drift.dataset.fashion_mnist.params
---@field path? string # folder with the four IDX files, raw or .gz; empty: look in DRIFT_DATA and the cache, then fetch (default "")
---@field fetch? boolean # fetch the files into the cache when they are nowhere else (default true)

---Fashion-MNIST: ten kinds of clothes, 28x28 grey, 60000 for training and 10000 for testing
---@param params? drift.dataset.fashion_mnist.params
---@return drift.spec.dataset
function drift.dataset.fashion_mnist(params) end

---@class drift.dataset.image_folder.params
---@field path? string # the folder: CLASS/IMAGE, or train/CLASS/IMAGE and test/CLASS/IMAGE, or just IMAGE (default "")
---@field size? integer # images are cropped to the centred square and resampled to size x size (default 64; 1 to 4096)
---@field color? "rgb"|"gray" # 3 channels or 1 (default "rgb")
---@field test_every? integer # every n-th image of a class is for testing; 0: none. Without a folder test (default 10; 0 to 1000000)
---@field cache_mb? integer # decoded images are kept in memory up to this size; else decoded when read (default 1024; 0 to 1048576)

---a folder of PNG and JPEG images; sub-folders are classes
---@param params? drift.dataset.image_folder.params
---@return drift.spec.dataset
function drift.dataset.image_folder(params) end

---@class drift.dataset.mnist.params
---@field path? string # folder with the four IDX files, raw or .gz; empty: look in DRIFT_DATA and the cache, then fetch (default "")
---@field fetch? boolean # fetch the files into the cache when they are nowhere else (default true)

---MNIST: handwritten digits, 28x28 grey, 60000 for training and 10000 for testing
---@param params? drift.dataset.mnist.params
---@return drift.spec.dataset
function drift.dataset.mnist(params) end

---@class drift.dataset.pairs.params
---@field path? string # the file: images, noise and labels (default "")
---@field classes? integer # number of classes; 0: the largest label and 1 more (default 0; 0 to 1048576)

---Images with the noise that each was made from, in a safetensors file
---@param params? drift.dataset.pairs.params
---@return drift.spec.dataset
function drift.dataset.pairs(params) end

---@alias drift.decay.name "constant"|"exponential"
---@class drift.spec.decay: drift.spec

---@class drift.kind.decay
drift.decay = {}

---@class drift.decay.constant.params

---Stays as it is
---@param params? drift.decay.constant.params
---@return drift.spec.decay
function drift.decay.constant(params) end

---@class drift.decay.exponential.params
---@field to? number # factor after the last epoch (default 0.1; 1e-12 to 1)

---Falls by the same factor after every epoch
---@param params? drift.decay.exponential.params
---@return drift.spec.decay
function drift.decay.exponential(params) end

---@alias drift.ema.name "fixed"|"power"|"warmup"
---@class drift.spec.ema: drift.spec

---@class drift.kind.ema
drift.ema = {}

---@class drift.ema.fixed.params
---@field decay? number # memory of the average (default 0.999; 0 to 1)

---The same decay after every step
---@param params? drift.ema.fixed.params
---@return drift.spec.ema
function drift.ema.fixed(params) end

---@class drift.ema.power.params
---@field sigma_rel? number # width of the profile, relative to training's length (default 0.1; 0.0001 to 0.2886751346)
---@field gamma? number # exponent of the profile; -1: from sigma_rel (default -1; -1 to 100000000)

---Power-function profile: memory that grows with training
---@param params? drift.ema.power.params
---@return drift.spec.ema
function drift.ema.power(params) end

---@class drift.ema.warmup.params
---@field decay? number # memory of the average once warm (default 0.9999; 0 to 1)

---Grows to its final decay: min(decay, (1+step)/(10+step))
---@param params? drift.ema.warmup.params
---@return drift.spec.ema
function drift.ema.warmup(params) end

---@alias drift.filter.name "box"|"custom"|"gaussian_blur"|"grayscale"|"motion"
---@class drift.spec.filter: drift.spec

---@class drift.kind.filter
drift.filter = {}

---@class drift.filter.box.params
---@field kernel? integer # odd: 2 r + 1, r in pixels of an image of reference_size rows (default 5; 1 to 4095)
---@field reference_size? integer # rows of the image that kernel is meant for; 0: not scaled (default 64; 0 to 1048576)

---The mean of a square around each pixel
---@param params? drift.filter.box.params
---@return drift.spec.filter
function drift.filter.box(params) end

---@class drift.filter.custom.params
---@field apply? fun(a: drift.tensor): drift.tensor # the filtered image, of the image's shape; required

---A filter from a function of the script
---@param params? drift.filter.custom.params
---@return drift.spec.filter
function drift.filter.custom(params) end

---@class drift.filter.gaussian_blur.params
---@field sigma? number # standard deviation, in pixels of an image of reference_size rows (default 2; 1e-06 to 1000000)
---@field kernel? integer # odd: 2 r + 1, r in such pixels (default 33; 1 to 4095)
---@field reference_size? integer # rows of the image that sigma and kernel are meant for; 0: not scaled (default 64; 0 to 1048576)

---A Gaussian blur, which grows with the image
---@param params? drift.filter.gaussian_blur.params
---@return drift.spec.filter
function drift.filter.gaussian_blur(params) end

---@class drift.filter.grayscale.params

---The mean over channels, in every channel
---@param params? drift.filter.grayscale.params
---@return drift.spec.filter
function drift.filter.grayscale(params) end

---@class drift.filter.motion.params
---@field length? number # of the way, in pixels of an image of reference_size rows (default 17; 0 to 2047)
---@field degrees? number # direction: 0 along rows, 90 along columns, counterclockwise (default 45; -360 to 360)
---@field reference_size? integer # rows of the image that length is meant for; 0: not scaled (default 64; 0 to 1048576)

---A blur along a line
---@param params? drift.filter.motion.params
---@return drift.spec.filter
function drift.filter.motion(params) end

---@alias drift.guidance.name "anagram"|"autoguidance"|"cfg"|"cfg_interval"|"cfg_rescale"|"hybrid"
---@class drift.spec.guidance: drift.spec

---@class drift.kind.guidance
drift.guidance = {}

---@class drift.guidance.anagram.params
---@field views? (drift.spec.view|drift.view.name)[] # how the picture is seen under condition 1, 2, ...; required (default {})
---@field combine? "mean"|"sum"|"alternate" # of the views' predictions; alternate: one view a step, in turn (default "mean")

---One picture, seen in several ways under as many conditions
---@param params? drift.guidance.anagram.params
---@return drift.spec.guidance
function drift.guidance.anagram(params) end

---@class drift.guidance.autoguidance.params
---@field scale? number # how far to go from the weak network's prediction to the model's (default 2; -1000 to 1000)
---@field network? string # name of the weak network among the model's networks (default "weak")

---Guided by a weaker network: w + scale (c - w)
---@param params? drift.guidance.autoguidance.params
---@return drift.spec.guidance
function drift.guidance.autoguidance(params) end

---@class drift.guidance.cfg.params
---@field scale? number # gamma: how far to go from the unconditional to the conditional prediction (default 5; -1000 to 1000)

---Classifier-free guidance: u + scale (c - u)
---@param params? drift.guidance.cfg.params
---@return drift.spec.guidance
function drift.guidance.cfg(params) end

---@class drift.guidance.cfg_interval.params
---@field scale? number # gamma: how far to go from the unconditional to the conditional prediction (default 5; -1000 to 1000)
---@field low? number # guide above this noise level sigma/alpha (default 0.25; 0 to 1000000000)
---@field high? number # guide up to this noise level sigma/alpha (default 4; 0 to 1000000000)

---Classifier-free guidance within an interval of noise levels
---@param params? drift.guidance.cfg_interval.params
---@return drift.spec.guidance
function drift.guidance.cfg_interval(params) end

---@class drift.guidance.cfg_rescale.params
---@field scale? number # gamma: how far to go from the unconditional to the conditional prediction (default 5; -1000 to 1000)
---@field phi? number # share of the rescaled prediction; 0 is plain guidance (default 0.7; 0 to 1)

---Classifier-free guidance, rescaled to the conditional prediction's contrast
---@param params? drift.guidance.cfg_rescale.params
---@return drift.spec.guidance
function drift.guidance.cfg_rescale(params) end

---@class drift.guidance.hybrid.params
---@field filters? (drift.spec.filter|drift.filter.name)[] # what is taken of the prediction under condition 1, 2, ...; what they leave out is of the last condition; required (default {})

---Parts of one picture, by linear filters, under as many conditions
---@param params? drift.guidance.hybrid.params
---@return drift.spec.guidance
function drift.guidance.hybrid(params) end

---@alias drift.metric.name "class_accuracy"|"density_coverage"|"frechet"|"kid"|"nearest_neighbour"|"precision_recall"
---@class drift.spec.metric: drift.spec

---@class drift.kind.metric
drift.metric = {}

---@class drift.metric.class_accuracy.params

---Share of samples whose largest logit is their label's
---@param params? drift.metric.class_accuracy.params
---@return drift.spec.metric
function drift.metric.class_accuracy(params) end

---@class drift.metric.density_coverage.params
---@field k? integer # the neighbour that a ball reaches to (default 5; 1 to 100)
---@field balanced? boolean # take as many real images as there are samples, evenly spaced (default true)

---How densely samples lie among real images, and the share of those with a sample near
---@param params? drift.metric.density_coverage.params
---@return drift.spec.metric
function drift.metric.density_coverage(params) end

---@class drift.metric.frechet.params

---Frechet distance of features of real and generated images; 0 is ideal; biased up for few samples
---@param params? drift.metric.frechet.params
---@return drift.spec.metric
function drift.metric.frechet(params) end

---@class drift.metric.kid.params
---@field block? integer # samples whose pairs are taken together (default 2000; 2 to 1048576)

---Kernel distance (unbiased squared MMD, cubic kernel) of features; 0 is ideal, it may fall below
---@param params? drift.metric.kid.params
---@return drift.spec.metric
function drift.metric.kid(params) end

---@class drift.metric.nearest_neighbour.params
---@field quantile? number # share of real test images that count as if copied (default 0.01; 0 to 1)
---@field tests? integer # test images at most that set the scale, evenly spaced (default 2000; 1 to 16777216)

---Samples nearer to a training image than real test images are: copied (ideal: quantile), closer (0.5)
---@param params? drift.metric.nearest_neighbour.params
---@return drift.spec.metric
function drift.metric.nearest_neighbour(params) end

---@class drift.metric.precision_recall.params
---@field k? integer # the neighbour that a ball reaches to (default 3; 1 to 100)
---@field balanced? boolean # take as many real images as there are samples, evenly spaced (default true)

---Share of samples within the real images' manifold, and the reverse; 1 is ideal
---@param params? drift.metric.precision_recall.params
---@return drift.spec.metric
function drift.metric.precision_recall(params) end

---@class drift.kind.op
drift.op = {}

---@class drift.op.abs.params

---abs(x) = |x|
---@param x drift.tensor|number
---@return drift.tensor
function drift.op.abs(x) end

---@class drift.op.abs_backward.params

---abs_backward(x, dy) = dy sign(x), 0 at 0
---@param x drift.tensor|number
---@param dy drift.tensor|number
---@return drift.tensor
function drift.op.abs_backward(x, dy) end

---@class drift.op.adam_step.params
---@field beta1? number # memory of the mean (default 0.9; 0 to 1)
---@field beta2? number # memory of the mean square (default 0.999; 0 to 1)
---@field eps? number # added to the root (default 1e-08; 0 to inf)
---@field weight_decay? number # pull to 0 (default 0; 0 to inf)
---@field decoupled? boolean # AdamW: the decay acts on weights, not through gradients (default false)
---@field averages? integer # of each weight that are moved with it (default 0; 0 to 4)

---adam_step({lr, step}, param, grad, exp_avg, exp_avg_sq, ...): in place
---@param lr_step drift.tensor|drift.tensor[]
---@param param any
---@param grad any
---@param exp_avg any
---@param exp_avg_sq any
---@param ... any
---@return drift.tensor
function drift.op.adam_step(lr_step, param, grad, exp_avg, exp_avg_sq, ...) end

---@class drift.op.add.params

---add(a, b) = a + b
---@param a drift.tensor|number
---@param b drift.tensor|number
---@return drift.tensor
function drift.op.add(a, b) end

---@class drift.op.affine.params
---@field scale? number # factor (default 1; -inf to inf)
---@field shift? number # added after scaling (default 0; -inf to inf)

---affine(x) = scale x + shift
---@param x drift.tensor|number
---@param attributes drift.op.affine.params|number|nil
---@param ... any
---@return drift.tensor
function drift.op.affine(x, attributes, ...) end

---@class drift.op.amax.params
---@field dims? integer[] # axes to reduce; none: all (default {}; -5 to 4)
---@field keepdim? boolean # keep reduced axes, of size 1 (default false)

---amax(x): the maximum over axes
---@param x drift.tensor|number
---@param attributes drift.op.amax.params|integer[]|integer|nil
---@param ... any
---@return drift.tensor
function drift.op.amax(x, attributes, ...) end

---@class drift.op.argmax.params
---@field dim? integer # axis, which the result lacks (default -1; -5 to 4)

---argmax(x): i32 index of the first largest element along an axis
---@param x drift.tensor|number
---@param attributes drift.op.argmax.params|integer|nil
---@return drift.tensor
function drift.op.argmax(x, attributes) end

---@class drift.op.assign.params

---assign(to, from): in place; broadcasts and converts
---@param to drift.tensor|number
---@param from drift.tensor|number
---@return drift.tensor
function drift.op.assign(to, from) end

---@class drift.op.attention.params
---@field scale? number # of the scores; 0: 1/sqrt(D) (default 0; 0 to inf)

---attention(q, k, v, mask): softmax(q k^T scale + mask) v; mask may be nil
---@param q drift.tensor|number
---@param k drift.tensor|number
---@param v drift.tensor|number
---@param mask drift.tensor|number|drift.op.attention.params|nil
---@param attributes drift.op.attention.params|number|nil
---@return drift.tensor
function drift.op.attention(q, k, v, mask, attributes) end

---@class drift.op.avg_pool2d.params
---@field kernel integer # size of the window (1 to 1048576)
---@field stride? integer # steps between windows; 0: the window's size (default 0; 0 to 1048576)

---avg_pool2d(x): means of windows
---@param x drift.tensor|number
---@param attributes drift.op.avg_pool2d.params|integer|nil
---@param ... any
---@return drift.tensor
function drift.op.avg_pool2d(x, attributes, ...) end

---@class drift.op.avg_pool2d_backward.params
---@field kernel integer # size of the window (1 to 1048576)
---@field stride? integer # steps between windows; 0: the window's size (default 0; 0 to 1048576)
---@field height integer # of x (1 to 1048576)
---@field width integer # of x (1 to 1048576)

---avg_pool2d_backward(dy) -> dx
---@param dy drift.tensor|number
---@param attributes drift.op.avg_pool2d_backward.params|integer|nil
---@param ... any
---@return drift.tensor
function drift.op.avg_pool2d_backward(dy, attributes, ...) end

---@class drift.op.axpy.params
---@field scale? number # factor of x (default 1; -inf to inf)

---axpy(x, y) = scale x + y
---@param x drift.tensor|number
---@param y drift.tensor|number
---@param attributes drift.op.axpy.params|number|nil
---@return drift.tensor
function drift.op.axpy(x, y, attributes) end

---@class drift.op.batch_norm_act.params
---@field eps? number # added to the variance (default 1e-05; 0 to inf)
---@field act? "none"|"relu"|"gelu"|"gelu_tanh"|"silu" # activation that follows (default "none")

---batch_norm_act(x, gamma, beta) -> y, mean, var; var is the biased one
---@param x drift.tensor|number
---@param gamma drift.tensor|number
---@param beta drift.tensor|number
---@param attributes drift.op.batch_norm_act.params|number|nil
---@param ... any
---@return drift.tensor, drift.tensor, drift.tensor
function drift.op.batch_norm_act(x, gamma, beta, attributes, ...) end

---@class drift.op.batch_norm_act_backward.params
---@field eps? number # added to the variance (default 1e-05; 0 to inf)
---@field act? "none"|"relu"|"gelu"|"gelu_tanh"|"silu" # activation that follows (default "none")

---batch_norm_act_backward(x, gamma, beta, mean, var, dy) -> dx, dgamma, dbeta
---@param x drift.tensor|number
---@param gamma drift.tensor|number
---@param beta drift.tensor|number
---@param mean drift.tensor|number
---@param var drift.tensor|number
---@param dy drift.tensor|number
---@param attributes drift.op.batch_norm_act_backward.params|number|nil
---@param ... any
---@return drift.tensor, drift.tensor, drift.tensor
function drift.op.batch_norm_act_backward(x, gamma, beta, mean, var, dy, attributes, ...) end

---@class drift.op.batch_norm_eval.params
---@field eps? number # added to the variance (default 1e-05; 0 to inf)
---@field act? "none"|"relu"|"gelu"|"gelu_tanh"|"silu" # activation that follows (default "none")

---batch_norm_eval(x, gamma, beta, running_mean, running_var) -> y
---@param x drift.tensor|number
---@param gamma drift.tensor|number
---@param beta drift.tensor|number
---@param running_mean drift.tensor|number
---@param running_var drift.tensor|number
---@param attributes drift.op.batch_norm_eval.params|number|nil
---@param ... any
---@return drift.tensor
function drift.op.batch_norm_eval(x, gamma, beta, running_mean, running_var, attributes, ...) end

---@class drift.op.batch_norm_update.params
---@field momentum? number # weight of the new statistics (default 0.1; 0 to 1)
---@field count integer # elements that mean and var were taken over (1 to 2.814749767e+14)

---batch_norm_update(running_mean, running_var, mean, var, num_batches_tracked): in place
---@param running_mean drift.tensor|number
---@param running_var drift.tensor|number
---@param mean drift.tensor|number
---@param var drift.tensor|number
---@param num_batches_tracked drift.tensor|number
---@param attributes drift.op.batch_norm_update.params|number|nil
---@param ... any
---@return drift.tensor
function drift.op.batch_norm_update(running_mean, running_var, mean, var, num_batches_tracked, attributes, ...) end

---@class drift.op.cast.params
---@field dtype? "f32"|"f64"|"bf16"|"f16"|"i32"|"i64"|"u8"|"bool" # the new type (default "f32")

---cast(x): the same numbers in another dtype
---@param x drift.tensor|number
---@param attributes drift.op.cast.params|"f32"|"f64"|"bf16"|"f16"|"i32"|"i64"|"u8"|"bool"|nil
---@return drift.tensor
function drift.op.cast(x, attributes) end

---@class drift.op.clamp.params
---@field min? number # smaller values become this (default -inf; -inf to inf)
---@field max? number # larger values become this (default inf; -inf to inf)

---clamp(x): x brought into [min, max]
---@param x drift.tensor|number
---@param attributes drift.op.clamp.params|number|nil
---@param ... any
---@return drift.tensor
function drift.op.clamp(x, attributes, ...) end

---@class drift.op.clip_step.params
---@field max_norm? number # longest norm that is left as it is (default 1; 0 to inf)

---clip_step(square_norm, grad, ...): in place
---@param square_norm drift.tensor|drift.tensor[]
---@param grad any
---@param ... any
---@return drift.tensor
function drift.op.clip_step(square_norm, grad, ...) end

---@class drift.op.concat.params
---@field dim? integer # axis to join along (default 0; -5 to 4)

---concat(x0, x1, ...): joined along one axis
---@param x0 drift.tensor|drift.tensor[]
---@param x1 any
---@param ... any
---@return drift.tensor
function drift.op.concat(x0, x1, ...) end

---@class drift.op.conv2d.params
---@field stride? integer # steps between windows (default 1; 1 to 1048576)
---@field padding? integer # zeros around x (default 0; 0 to 1048576)

---conv2d(x, weight, bias): cross-correlation; bias may be nil
---@param x drift.tensor|number
---@param weight drift.tensor|number
---@param bias drift.tensor|number|drift.op.conv2d.params|nil
---@param attributes drift.op.conv2d.params|integer|nil
---@param ... any
---@return drift.tensor
function drift.op.conv2d(x, weight, bias, attributes, ...) end

---@class drift.op.conv2d_act.params
---@field stride? integer # steps between windows (default 1; 1 to 1048576)
---@field padding? integer # zeros around x; transposed: rows and columns cut off around y (default 0; 0 to 1048576)
---@field act? "none"|"relu"|"gelu"|"gelu_tanh"|"silu" # activation that follows (default "none")

---act(conv2d(x, weight, bias) + add); bias and add may be nil
---@param x drift.tensor
---@param ... any
---@return drift.tensor
function drift.op.conv2d_act(x, ...) end

---@class drift.op.conv2d_backward_data.params
---@field stride? integer # as in conv2d (default 1; 1 to 1048576)
---@field padding? integer # as in conv2d (default 0; 0 to 1048576)
---@field height integer # of x (1 to 1048576)
---@field width integer # of x (1 to 1048576)

---conv2d_backward_data(dy, weight) -> dx
---@param dy drift.tensor|number
---@param weight drift.tensor|number
---@param attributes drift.op.conv2d_backward_data.params|integer|nil
---@param ... any
---@return drift.tensor
function drift.op.conv2d_backward_data(dy, weight, attributes, ...) end

---@class drift.op.conv2d_backward_weight.params
---@field stride? integer # as in conv2d (default 1; 1 to 1048576)
---@field padding? integer # as in conv2d (default 0; 0 to 1048576)
---@field kernel integer # k (1 to 1048576)
---@field bias? integer # 1: the bias' gradient as well, else it is empty (default 0; 0 to 1)

---conv2d_backward_weight(x, dy) -> dweight, dbias
---@param x drift.tensor|number
---@param dy drift.tensor|number
---@param attributes drift.op.conv2d_backward_weight.params|integer|nil
---@param ... any
---@return drift.tensor, drift.tensor
function drift.op.conv2d_backward_weight(x, dy, attributes, ...) end

---@class drift.op.conv_transpose2d.params
---@field stride? integer # steps between the windows that x's pixels spread to (default 1; 1 to 1048576)
---@field padding? integer # rows and columns cut off around y (default 0; 0 to 1048576)

---conv_transpose2d(x, weight, bias); bias may be nil
---@param x drift.tensor|number
---@param weight drift.tensor|number
---@param bias drift.tensor|number|drift.op.conv_transpose2d.params|nil
---@param attributes drift.op.conv_transpose2d.params|integer|nil
---@param ... any
---@return drift.tensor
function drift.op.conv_transpose2d(x, weight, bias, attributes, ...) end

---@class drift.op.conv_transpose2d_act.params
---@field stride? integer # steps between windows (default 1; 1 to 1048576)
---@field padding? integer # zeros around x; transposed: rows and columns cut off around y (default 0; 0 to 1048576)
---@field act? "none"|"relu"|"gelu"|"gelu_tanh"|"silu" # activation that follows (default "none")

---act(conv_transpose2d(x, weight, bias) + add); bias and add may be nil
---@param x drift.tensor
---@param ... any
---@return drift.tensor
function drift.op.conv_transpose2d_act(x, ...) end

---@class drift.op.copy.params
---@field layout? "row"|"channels_last" # memory order of the copy (default "row")

---copy(x): dense, in the memory order asked for
---@param x drift.tensor|number
---@param attributes drift.op.copy.params|"row"|"channels_last"|nil
---@return drift.tensor
function drift.op.copy(x, attributes) end

---@class drift.op.cos.params

---cos(x)
---@param x drift.tensor|number
---@return drift.tensor
function drift.op.cos(x) end

---@class drift.op.cos_backward.params

---cos_backward(x, dy) = -dy sin(x)
---@param x drift.tensor|number
---@param dy drift.tensor|number
---@return drift.tensor
function drift.op.cos_backward(x, dy) end

---@class drift.op.cross_entropy.params

---cross_entropy(logits, label) -> mean loss, log-probabilities
---@param logits drift.tensor|number
---@param label drift.tensor|number
---@return drift.tensor, drift.tensor
function drift.op.cross_entropy(logits, label) end

---@class drift.op.cross_entropy_backward.params

---cross_entropy_backward(log_probabilities, label, dloss) -> dlogits
---@param log_probabilities drift.tensor|number
---@param label drift.tensor|number
---@param dloss drift.tensor|number
---@return drift.tensor
function drift.op.cross_entropy_backward(log_probabilities, label, dloss) end

---@class drift.op.div.params

---div(a, b) = a / b
---@param a drift.tensor|number
---@param b drift.tensor|number
---@return drift.tensor
function drift.op.div(a, b) end

---@class drift.op.dropout.params
---@field p? number # probability that an element becomes 0 (default 0.5; 0 to 1)
---@field seed? integer # key of the stream (default 0; 0 to 9.007199255e+15)
---@field purpose? integer # what it is for, as a number (default 0; 0 to 4294967295)
---@field step? integer # of training (default 0; 0 to 4294967295)
---@field sample? integer # number of the first row (default 0; 0 to 9.007199255e+15)

---dropout(x): elements become 0 at random, the others grow by 1/(1-p)
---@param x drift.tensor|number
---@param attributes drift.op.dropout.params|number|nil
---@param ... any
---@return drift.tensor
function drift.op.dropout(x, attributes, ...) end

---@class drift.op.ema_step.params

---ema_step(decay, average, param, ...): in place
---@param decay drift.tensor|drift.tensor[]
---@param average any
---@param param any
---@param ... any
---@return drift.tensor
function drift.op.ema_step(decay, average, param, ...) end

---@class drift.op.embedding.params

---embedding(weight, ids): rows of weight
---@param weight drift.tensor|number
---@param ids drift.tensor|number
---@return drift.tensor
function drift.op.embedding(weight, ids) end

---@class drift.op.embedding_backward.params
---@field rows integer # of the table (0 to 2.814749767e+14)

---embedding_backward(dy, ids): rows of dy added up by id
---@param dy drift.tensor|number
---@param ids drift.tensor|number
---@param attributes drift.op.embedding_backward.params|integer|nil
---@return drift.tensor
function drift.op.embedding_backward(dy, ids, attributes) end

---@class drift.op.exp.params

---exp(x)
---@param x drift.tensor|number
---@return drift.tensor
function drift.op.exp(x) end

---@class drift.op.exp_backward.params

---exp_backward(y, dy) = dy y
---@param y drift.tensor|number
---@param dy drift.tensor|number
---@return drift.tensor
function drift.op.exp_backward(y, dy) end

---@class drift.op.expand.params
---@field shape? integer[] # the new shape; axes of size 1 are repeated, -1 keeps a size (default {}; -1 to 2.814749767e+14)

---expand(x): axes of size 1 repeated, in no memory
---@param x drift.tensor|number
---@param attributes drift.op.expand.params|integer[]|integer|nil
---@param ... any
---@return drift.tensor
function drift.op.expand(x, attributes, ...) end

---@class drift.op.fill.params
---@field value? number # every element becomes this (default 0; -inf to inf)

---fill(x): in place
---@param x drift.tensor|number
---@param attributes drift.op.fill.params|number|nil
---@return drift.tensor
function drift.op.fill(x, attributes) end

---@class drift.op.film.params

---film(h, scale, shift) = scale h + shift, per sample and channel; either may be nil
---@param h drift.tensor|number
---@param scale drift.tensor|number|drift.op.film.params|nil
---@param shift drift.tensor|number|drift.op.film.params|nil
---@return drift.tensor
function drift.op.film(h, scale, shift) end

---@class drift.op.film_backward.params

---film_backward(h, scale, dy) -> dh, dscale, dshift
---@param h drift.tensor|number
---@param scale drift.tensor|number
---@param dy drift.tensor|number
---@return drift.tensor, drift.tensor, drift.tensor
function drift.op.film_backward(h, scale, dy) end

---@class drift.op.fold_batch_norm.params
---@field eps? number # added to the variance (default 1e-05; 0 to inf)
---@field transposed? boolean # output channels are the weight's second axis (default false)

---fold_batch_norm(weight, gamma, beta, running_mean, running_var, bias or nil) -> weight', bias'
---@param weight drift.tensor|number
---@param gamma drift.tensor|number
---@param beta drift.tensor|number
---@param running_mean drift.tensor|number
---@param running_var drift.tensor|number
---@param bias drift.tensor|number|drift.op.fold_batch_norm.params|nil
---@param attributes drift.op.fold_batch_norm.params|number|nil
---@param ... any
---@return drift.tensor, drift.tensor
function drift.op.fold_batch_norm(weight, gamma, beta, running_mean, running_var, bias, attributes, ...) end

---@class drift.op.gaussian_blur.params
---@field kernel_size? integer # odd: 2 r + 1 (default 33; 1 to 4095)
---@field sigma? number # standard deviation, in pixels (default 2; 1e-06 to 1000000)

---gaussian_blur(x): a low-pass filter
---@param x drift.tensor|number
---@param attributes drift.op.gaussian_blur.params|integer|nil
---@param ... any
---@return drift.tensor
function drift.op.gaussian_blur(x, attributes, ...) end

---@class drift.op.gelu.params
---@field approximate? "none"|"tanh" # none: by erf; tanh: the approximation (default "none")

---gelu(x) = x Phi(x)
---@param x drift.tensor|number
---@param attributes drift.op.gelu.params|"none"|"tanh"|nil
---@return drift.tensor
function drift.op.gelu(x, attributes) end

---@class drift.op.gelu_backward.params
---@field approximate? "none"|"tanh" # none: by erf; tanh: the approximation (default "none")

---gelu_backward(x, dy)
---@param x drift.tensor|number
---@param dy drift.tensor|number
---@param attributes drift.op.gelu_backward.params|"none"|"tanh"|nil
---@return drift.tensor
function drift.op.gelu_backward(x, dy, attributes) end

---@class drift.op.greater.params

---greater(a, b): 1 where a > b, else 0
---@param a drift.tensor|number
---@param b drift.tensor|number
---@return drift.tensor
function drift.op.greater(a, b) end

---@class drift.op.group_norm_act.params
---@field groups? integer # groups of channels (default 32; 1 to 1048576)
---@field eps? number # added to the variance (default 1e-05; 0 to inf)
---@field act? "none"|"relu"|"gelu"|"gelu_tanh"|"silu" # activation that follows (default "none")

---group_norm_act(x, gamma, beta) -> y, mean, rstd
---@param x drift.tensor|number
---@param gamma drift.tensor|number
---@param beta drift.tensor|number
---@param attributes drift.op.group_norm_act.params|integer|nil
---@param ... any
---@return drift.tensor, drift.tensor, drift.tensor
function drift.op.group_norm_act(x, gamma, beta, attributes, ...) end

---@class drift.op.group_norm_act_backward.params
---@field groups? integer # groups of channels (default 32; 1 to 1048576)
---@field eps? number # added to the variance (default 1e-05; 0 to inf)
---@field act? "none"|"relu"|"gelu"|"gelu_tanh"|"silu" # activation that follows (default "none")

---group_norm_act_backward(x, gamma, beta, mean, rstd, dy) -> dx, dgamma, dbeta
---@param x drift.tensor|number
---@param gamma drift.tensor|number
---@param beta drift.tensor|number
---@param mean drift.tensor|number
---@param rstd drift.tensor|number
---@param dy drift.tensor|number
---@param attributes drift.op.group_norm_act_backward.params|integer|nil
---@param ... any
---@return drift.tensor, drift.tensor, drift.tensor
function drift.op.group_norm_act_backward(x, gamma, beta, mean, rstd, dy, attributes, ...) end

---@class drift.op.layer_norm.params
---@field eps? number # added to the variance (default 1e-05; 0 to inf)

---layer_norm(x, gamma, beta) -> y, mean, rstd; gamma and beta may be nil
---@param x drift.tensor|number
---@param gamma drift.tensor|number|drift.op.layer_norm.params|nil
---@param beta drift.tensor|number|drift.op.layer_norm.params|nil
---@param attributes drift.op.layer_norm.params|number|nil
---@return drift.tensor, drift.tensor, drift.tensor
function drift.op.layer_norm(x, gamma, beta, attributes) end

---@class drift.op.layer_norm_backward.params
---@field eps? number # added to the variance (default 1e-05; 0 to inf)

---layer_norm_backward(x, mean, rstd, dy, gamma) -> dx, dgamma, dbeta; gamma may be nil
---@param x drift.tensor|number
---@param mean drift.tensor|number
---@param rstd drift.tensor|number
---@param dy drift.tensor|number
---@param gamma drift.tensor|number|drift.op.layer_norm_backward.params|nil
---@param attributes drift.op.layer_norm_backward.params|number|nil
---@return drift.tensor, drift.tensor, drift.tensor
function drift.op.layer_norm_backward(x, mean, rstd, dy, gamma, attributes) end

---@class drift.op.linear.params

---linear(x, weight, bias) = x weight^T + bias over the last axis; bias may be nil
---@param x drift.tensor|number
---@param weight drift.tensor|number
---@param bias drift.tensor|number|drift.op.linear.params|nil
---@return drift.tensor
function drift.op.linear(x, weight, bias) end

---@class drift.op.log.params

---log(x), natural
---@param x drift.tensor|number
---@return drift.tensor
function drift.op.log(x) end

---@class drift.op.log_backward.params

---log_backward(x, dy) = dy / x
---@param x drift.tensor|number
---@param dy drift.tensor|number
---@return drift.tensor
function drift.op.log_backward(x, dy) end

---@class drift.op.matmul.params
---@field transpose_a? boolean # a is [..,K,M] (default false)
---@field transpose_b? boolean # b is [..,N,K] (default false)
---@field wide? boolean # the result of bf16 or f16 matrices is f32 (default false)

---matmul(a, b): [..,M,K] [..,K,N] -> [..,M,N]
---@param a drift.tensor|number
---@param b drift.tensor|number
---@param attributes drift.op.matmul.params|boolean|nil
---@param ... any
---@return drift.tensor, drift.tensor, drift.tensor
function drift.op.matmul(a, b, attributes, ...) end

---@class drift.op.max_pool2d.params
---@field kernel integer # size of the window (1 to 1048576)
---@field stride? integer # steps between windows; 0: the window's size (default 0; 0 to 1048576)

---max_pool2d(x): maxima of windows
---@param x drift.tensor|number
---@param attributes drift.op.max_pool2d.params|integer|nil
---@param ... any
---@return drift.tensor
function drift.op.max_pool2d(x, attributes, ...) end

---@class drift.op.max_pool2d_backward.params
---@field kernel integer # size of the window (1 to 1048576)
---@field stride? integer # steps between windows; 0: the window's size (default 0; 0 to 1048576)
---@field height integer # of x (1 to 1048576)
---@field width integer # of x (1 to 1048576)

---max_pool2d_backward(x, dy) -> dx
---@param x drift.tensor|number
---@param dy drift.tensor|number
---@param attributes drift.op.max_pool2d_backward.params|integer|nil
---@param ... any
---@return drift.tensor
function drift.op.max_pool2d_backward(x, dy, attributes, ...) end

---@class drift.op.maximum.params

---maximum(a, b): the larger one; where they are equal, each takes half the gradient
---@param a drift.tensor|number
---@param b drift.tensor|number
---@return drift.tensor
function drift.op.maximum(a, b) end

---@class drift.op.mean.params
---@field dims? integer[] # axes to reduce; none: all (default {}; -5 to 4)
---@field keepdim? boolean # keep reduced axes, of size 1 (default false)

---mean(x) over axes
---@param x drift.tensor|number
---@param attributes drift.op.mean.params|integer[]|integer|nil
---@param ... any
---@return drift.tensor
function drift.op.mean(x, attributes, ...) end

---@class drift.op.minimum.params

---minimum(a, b): the smaller one; where they are equal, each takes half the gradient
---@param a drift.tensor|number
---@param b drift.tensor|number
---@return drift.tensor
function drift.op.minimum(a, b) end

---@class drift.op.mse.params
---@field reduction? "mean"|"sum" # over all elements; weights do not enter the count (default "mean")

---mse(pred, target, weight): weight [B] of the rows may be nil
---@param pred drift.tensor|number
---@param target drift.tensor|number
---@param weight drift.tensor|number|drift.op.mse.params|nil
---@param attributes drift.op.mse.params|"mean"|"sum"|nil
---@return drift.tensor
function drift.op.mse(pred, target, weight, attributes) end

---@class drift.op.mse_backward.params
---@field reduction? "mean"|"sum" # over all elements; weights do not enter the count (default "mean")

---mse_backward(pred, target, dloss, weight) -> dpred; weight may be nil
---@param pred drift.tensor|number
---@param target drift.tensor|number
---@param dloss drift.tensor|number
---@param weight drift.tensor|number|drift.op.mse_backward.params|nil
---@param attributes drift.op.mse_backward.params|"mean"|"sum"|nil
---@return drift.tensor
function drift.op.mse_backward(pred, target, dloss, weight, attributes) end

---@class drift.op.mul.params

---mul(a, b) = a b, element by element
---@param a drift.tensor|number
---@param b drift.tensor|number
---@return drift.tensor
function drift.op.mul(a, b) end

---@class drift.op.one_hot.params
---@field classes integer # length of the vectors (1 to 2.814749767e+14)

---one_hot(ids): 1 at each id, 0 elsewhere
---@param ids drift.tensor|number
---@param attributes drift.op.one_hot.params|integer|nil
---@return drift.tensor
function drift.op.one_hot(ids, attributes) end

---@class drift.op.pad.params
---@field mode? "constant"|"reflect"|"replicate" # what the new elements are (default "constant")
---@field pads? integer[] # before,after of the last axis, of the one before it, ... (default {}; 0 to 2.814749767e+14)
---@field value? number # of constant (default 0; -inf to inf)

---pad(x): elements added around x
---@param x drift.tensor|number
---@param attributes drift.op.pad.params|"constant"|"reflect"|"replicate"|nil
---@param ... any
---@return drift.tensor
function drift.op.pad(x, attributes, ...) end

---@class drift.op.pad_backward.params
---@field mode? "constant"|"reflect"|"replicate" # what the new elements are (default "constant")
---@field pads? integer[] # before,after of the last axis, of the one before it, ... (default {}; 0 to 2.814749767e+14)
---@field value? number # of constant (default 0; -inf to inf)

---pad_backward(dy) -> dx; what stands for an element of x adds up there
---@param dy drift.tensor|number
---@param attributes drift.op.pad_backward.params|"constant"|"reflect"|"replicate"|nil
---@param ... any
---@return drift.tensor
function drift.op.pad_backward(dy, attributes, ...) end

---@class drift.op.permute.params
---@field dims? integer[] # axis i of the result is axis dims[i] of x (default {}; -5 to 4)

---permute(x): axes in another order
---@param x drift.tensor|number
---@param attributes drift.op.permute.params|integer[]|integer|nil
---@param ... any
---@return drift.tensor
function drift.op.permute(x, attributes, ...) end

---@class drift.op.pow.params
---@field exponent? number # the power (default 2; -inf to inf)

---pow(x) = x^exponent
---@param x drift.tensor|number
---@param attributes drift.op.pow.params|number|nil
---@return drift.tensor
function drift.op.pow(x, attributes) end

---@class drift.op.quantile.params
---@field q? number # which quantile: 0.5 is the median (default 0.5; 0 to 1)

---quantile(x): of each row x[b], linearly interpolated
---@param x drift.tensor|number
---@param attributes drift.op.quantile.params|number|nil
---@return drift.tensor
function drift.op.quantile(x, attributes) end

---@class drift.op.rand_normal.params
---@field dtype? "f32"|"f64"|"bf16"|"f16" # of the result (default "f32")
---@field shape? integer[] # of the result; the first axis counts samples (default {}; 0 to 2.814749767e+14)
---@field seed? integer # key of the stream (default 0; 0 to 9.007199255e+15)
---@field purpose? integer # what it is for, as a number (default 0; 0 to 4294967295)
---@field step? integer # of training or sampling (default 0; 0 to 4294967295)
---@field sample? integer # number of the first row (default 0; 0 to 9.007199255e+15)

---rand_normal(): mean 0, variance 1
---@param attributes drift.op.rand_normal.params|"f32"|"f64"|"bf16"|"f16"|nil
---@param ... any
---@return drift.tensor
function drift.op.rand_normal(attributes, ...) end

---@class drift.op.rand_uniform.params
---@field dtype? "f32"|"f64"|"bf16"|"f16" # of the result (default "f32")
---@field shape? integer[] # of the result; the first axis counts samples (default {}; 0 to 2.814749767e+14)
---@field seed? integer # key of the stream (default 0; 0 to 9.007199255e+15)
---@field purpose? integer # what it is for, as a number (default 0; 0 to 4294967295)
---@field step? integer # of training or sampling (default 0; 0 to 4294967295)
---@field sample? integer # number of the first row (default 0; 0 to 9.007199255e+15)

---rand_uniform(): in [0, 1)
---@param attributes drift.op.rand_uniform.params|"f32"|"f64"|"bf16"|"f16"|nil
---@param ... any
---@return drift.tensor
function drift.op.rand_uniform(attributes, ...) end

---@class drift.op.relu.params

---relu(x) = max(x, 0)
---@param x drift.tensor|number
---@return drift.tensor
function drift.op.relu(x) end

---@class drift.op.relu_backward.params

---relu_backward(y, dy): dy where y > 0, else 0
---@param y drift.tensor|number
---@param dy drift.tensor|number
---@return drift.tensor
function drift.op.relu_backward(y, dy) end

---@class drift.op.reshape.params
---@field shape? integer[] # the new shape; one -1 is worked out (default {}; -1 to 2.814749767e+14)

---reshape(x): the same elements in another shape
---@param x drift.tensor|number
---@param attributes drift.op.reshape.params|integer[]|integer|nil
---@param ... any
---@return drift.tensor
function drift.op.reshape(x, attributes, ...) end

---@class drift.op.resize.params
---@field mode? "nearest"|"bilinear"|"bicubic" # how pixels between pixels are made (default "nearest")
---@field height integer # rows of the result (1 to 1048576)
---@field width integer # columns of the result (1 to 1048576)
---@field align_corners? boolean # corners of both images lie on each other (not for nearest) (default false)

---resize(x): an image of another size, not antialiased
---@param x drift.tensor|number
---@param attributes drift.op.resize.params|"nearest"|"bilinear"|"bicubic"|nil
---@param ... any
---@return drift.tensor
function drift.op.resize(x, attributes, ...) end

---@class drift.op.resize_backward.params
---@field mode? "nearest"|"bilinear"|"bicubic" # how pixels between pixels are made (default "nearest")
---@field height integer # rows of the result (1 to 1048576)
---@field width integer # columns of the result (1 to 1048576)
---@field align_corners? boolean # corners of both images lie on each other (not for nearest) (default false)

---resize_backward(dy) -> dx of size height, width
---@param dy drift.tensor|number
---@param attributes drift.op.resize_backward.params|"nearest"|"bilinear"|"bicubic"|nil
---@param ... any
---@return drift.tensor, drift.tensor
function drift.op.resize_backward(dy, attributes, ...) end

---@class drift.op.rms_norm.params
---@field eps? number # added to the mean square (default 1e-06; 0 to inf)

---rms_norm(x, weight) = weight x / sqrt(mean(x^2) + eps)
---@param x drift.tensor|number
---@param weight drift.tensor|number
---@param attributes drift.op.rms_norm.params|number|nil
---@return drift.tensor
function drift.op.rms_norm(x, weight, attributes) end

---@class drift.op.rsqrt.params

---rsqrt(x) = 1 / sqrt(x)
---@param x drift.tensor|number
---@return drift.tensor
function drift.op.rsqrt(x) end

---@class drift.op.rsqrt_backward.params

---rsqrt_backward(y, dy) = -dy y^3 / 2
---@param y drift.tensor|number
---@param dy drift.tensor|number
---@return drift.tensor
function drift.op.rsqrt_backward(y, dy) end

---@class drift.op.sgd_step.params
---@field momentum? number # memory of earlier gradients (default 0; 0 to 1)
---@field weight_decay? number # pull to 0 (default 0; 0 to inf)
---@field nesterov? boolean # look ahead along the momentum (default false)

---sgd_step({lr, step}, param, grad, momentum_buffer, ...): in place
---@param lr_step drift.tensor|drift.tensor[]
---@param param any
---@param grad any
---@param momentum_buffer any
---@param ... any
---@return drift.tensor
function drift.op.sgd_step(lr_step, param, grad, momentum_buffer, ...) end

---@class drift.op.sigmoid.params

---sigmoid(x) = 1 / (1 + exp(-x))
---@param x drift.tensor|number
---@return drift.tensor
function drift.op.sigmoid(x) end

---@class drift.op.sigmoid_backward.params

---sigmoid_backward(y, dy) = dy y (1 - y)
---@param y drift.tensor|number
---@param dy drift.tensor|number
---@return drift.tensor
function drift.op.sigmoid_backward(y, dy) end

---@class drift.op.silu.params

---silu(x) = x sigmoid(x)
---@param x drift.tensor|number
---@return drift.tensor
function drift.op.silu(x) end

---@class drift.op.silu_backward.params

---silu_backward(x, dy) = dy s (1 + x (1 - s)), s = sigmoid(x)
---@param x drift.tensor|number
---@param dy drift.tensor|number
---@return drift.tensor
function drift.op.silu_backward(x, dy) end

---@class drift.op.sin.params

---sin(x)
---@param x drift.tensor|number
---@return drift.tensor
function drift.op.sin(x) end

---@class drift.op.sin_backward.params

---sin_backward(x, dy) = dy cos(x)
---@param x drift.tensor|number
---@param dy drift.tensor|number
---@return drift.tensor
function drift.op.sin_backward(x, dy) end

---@class drift.op.slice.params
---@field dim? integer # axis (default 0; -5 to 4)
---@field start? integer # first index; a negative one counts from the end (default 0; -2.814749767e+14 to 2.814749767e+14)
---@field length? integer # elements to take; -1: all to the end (default -1; -1 to 2.814749767e+14)
---@field step? integer # every step-th element (default 1; 1 to 2.814749767e+14)

---slice(x): part of one axis
---@param x drift.tensor|number
---@param attributes drift.op.slice.params|integer|nil
---@param ... any
---@return drift.tensor
function drift.op.slice(x, attributes, ...) end

---@class drift.op.slice_backward.params
---@field dim? integer # axis (default 0; -5 to 4)
---@field start? integer # first index (default 0; 0 to 2.814749767e+14)
---@field length integer # elements that the slice took (0 to 2.814749767e+14)
---@field step? integer # every step-th element (default 1; 1 to 2.814749767e+14)
---@field full integer # size of the axis before slicing (0 to 2.814749767e+14)

---slice_backward(dy): dy in zeros, where the slice was
---@param dy drift.tensor|number
---@param attributes drift.op.slice_backward.params|integer|nil
---@param ... any
---@return drift.tensor
function drift.op.slice_backward(dy, attributes, ...) end

---@class drift.op.softmax.params
---@field dim? integer # axis that sums to 1 (default -1; -5 to 4)

---softmax(x) along an axis
---@param x drift.tensor|number
---@param attributes drift.op.softmax.params|integer|nil
---@return drift.tensor
function drift.op.softmax(x, attributes) end

---@class drift.op.softmax_backward.params
---@field dim? integer # axis that sums to 1 (default -1; -5 to 4)

---softmax_backward(y, dy) = y (dy - sum dy y)
---@param y drift.tensor|number
---@param dy drift.tensor|number
---@param attributes drift.op.softmax_backward.params|integer|nil
---@return drift.tensor
function drift.op.softmax_backward(y, dy, attributes) end

---@class drift.op.sqrt.params

---sqrt(x)
---@param x drift.tensor|number
---@return drift.tensor
function drift.op.sqrt(x) end

---@class drift.op.sqrt_backward.params

---sqrt_backward(y, dy) = dy / (2 y)
---@param y drift.tensor|number
---@param dy drift.tensor|number
---@return drift.tensor
function drift.op.sqrt_backward(y, dy) end

---@class drift.op.square.params

---square(x) = x^2
---@param x drift.tensor|number
---@return drift.tensor
function drift.op.square(x) end

---@class drift.op.square_backward.params

---square_backward(x, dy) = 2 x dy
---@param x drift.tensor|number
---@param dy drift.tensor|number
---@return drift.tensor
function drift.op.square_backward(x, dy) end

---@class drift.op.square_norm.params

---square_norm(x, ...): f64, the sum of all squares
---@param x drift.tensor|drift.tensor[]
---@param ... any
---@return drift.tensor
function drift.op.square_norm(x, ...) end

---@class drift.op.sub.params

---sub(a, b) = a - b
---@param a drift.tensor|number
---@param b drift.tensor|number
---@return drift.tensor
function drift.op.sub(a, b) end

---@class drift.op.sum.params
---@field dims? integer[] # axes to reduce; none: all (default {}; -5 to 4)
---@field keepdim? boolean # keep reduced axes, of size 1 (default false)

---sum(x) over axes
---@param x drift.tensor|number
---@param attributes drift.op.sum.params|integer[]|integer|nil
---@param ... any
---@return drift.tensor
function drift.op.sum(x, attributes, ...) end

---@class drift.op.sum_to.params
---@field shape? integer[] # the shape to sum to; it broadcasts to x's (default {}; 0 to 2.814749767e+14)

---sum_to(x): x summed to a shape that broadcasts to x's
---@param x drift.tensor|number
---@param attributes drift.op.sum_to.params|integer[]|integer|nil
---@param ... any
---@return drift.tensor
function drift.op.sum_to(x, attributes, ...) end

---@class drift.op.tanh.params

---tanh(x)
---@param x drift.tensor|number
---@return drift.tensor
function drift.op.tanh(x) end

---@class drift.op.tanh_backward.params

---tanh_backward(y, dy) = dy (1 - y^2)
---@param y drift.tensor|number
---@param dy drift.tensor|number
---@return drift.tensor
function drift.op.tanh_backward(y, dy) end

---@class drift.op.timestep_embedding.params
---@field dim integer # length of the embedding (2 to 65536)
---@field max_period? number # the slowest wave's period is 2 pi times this (default 10000; 1 to inf)
---@field shift? number # 1: the last wave has exactly max_period (default 0; 0 to 1)
---@field flip? boolean # cosines first (default false)

---timestep_embedding(t): sines and cosines of many frequencies
---@param t drift.tensor|number
---@param attributes drift.op.timestep_embedding.params|integer|nil
---@param ... any
---@return drift.tensor
function drift.op.timestep_embedding(t, attributes, ...) end

---@class drift.op.where.params

---where(condition, a, b): a where the condition is not 0, else b
---@param condition drift.tensor|number
---@param a drift.tensor|number
---@param b drift.tensor|number
---@return drift.tensor
function drift.op.where(condition, a, b) end

---@alias drift.optim.name "adam"|"adamw"|"sgd"
---@class drift.spec.optim: drift.spec

---@class drift.kind.optim
drift.optim = {}

---@class drift.optim.adam.params
---@field lr? number # learning rate (default 0.001; 0 to 1000)
---@field beta1? number # decay of the mean of gradients (default 0.9; 0 to 0.999999)
---@field beta2? number # decay of the mean of squared gradients (default 0.999; 0 to 0.99999999)
---@field eps? number # added to the square root (default 1e-08; 0 to 1)
---@field weight_decay? number # times the weight, added to the gradient (L2) (default 0; 0 to 1000)

---Adam
---@param params? drift.optim.adam.params
---@return drift.spec.optim
function drift.optim.adam(params) end

---@class drift.optim.adamw.params
---@field lr? number # learning rate (default 0.001; 0 to 1000)
---@field beta1? number # decay of the mean of gradients (default 0.9; 0 to 0.999999)
---@field beta2? number # decay of the mean of squared gradients (default 0.999; 0 to 0.99999999)
---@field eps? number # added to the square root (default 1e-08; 0 to 1)
---@field weight_decay? number # times lr: the share of each weight that a step takes away (default 0.01; 0 to 1000)

---Adam with decoupled weight decay
---@param params? drift.optim.adamw.params
---@return drift.spec.optim
function drift.optim.adamw(params) end

---@class drift.optim.sgd.params
---@field lr? number # learning rate (default 0.001; 0 to 1000000)
---@field momentum? number # share of the last step's direction that is kept (default 0; 0 to 1)
---@field weight_decay? number # times the weight, added to the gradient (L2) (default 0; 0 to 1000)
---@field nesterov? boolean # look ahead along the momentum (default false)

---Gradient descent, with momentum
---@param params? drift.optim.sgd.params
---@return drift.spec.optim
function drift.optim.sgd(params) end

---@alias drift.process.name "ddpm"|"edm"|"fixed_noise"|"flow_matching"|"ve"|"vp"
---@class drift.spec.process: drift.spec

---@class drift.kind.process
drift.process = {}

---@class drift.process.ddpm.params
---@field T? integer # steps of the chain (default 300; 1 to 1000000)
---@field predict? "eps"|"x0"|"v"|"velocity" # what the network returns: the noise, the data, v = alpha eps - sigma x0, or dx/dt (default "eps")
---@field schedule? drift.spec.schedule|drift.schedule.name # beta of each step (default "linear")
---@field time? "fraction"|"index" # what the network is told: t/T, or the step's index t - 1 (default "fraction")

---x_t = sqrt(abar_t) x0 + sqrt(1 - abar_t) eps: a chain of T steps
---@param params? drift.process.ddpm.params
---@return drift.spec.process
function drift.process.ddpm(params) end

---@class drift.process.edm.params
---@field sigma_data? number # standard deviation of the data (default 0.5; 1e-06 to 1000000)
---@field sigma_min? number # smallest sigma of training (default 0.002; 1e-09 to 1000000)
---@field sigma_max? number # largest sigma, where sampling starts (default 80; 1e-09 to 1000000000)
---@field P_mean? number # mean of ln sigma in training (default -1.2; -20 to 20)
---@field P_std? number # standard deviation of ln sigma in training (default 1.2; 0 to 20)

---x_t = x0 + sigma eps, t = sigma, with EDM's preconditioned network
---@param params? drift.process.edm.params
---@return drift.spec.process
function drift.process.edm(params) end

---@class drift.process.fixed_noise.params
---@field sigma? number # standard deviation of the noise (default 0.5; 1e-06 to 1000000)
---@field predict? "x0"|"eps" # what the network returns (default "x0")
---@field signal? number # how much of the image is in what the network sees (0: pure noise) (default 1; 0 to 1)

---x0 + sigma eps at one sigma: a single-step denoiser
---@param params? drift.process.fixed_noise.params
---@return drift.spec.process
function drift.process.fixed_noise(params) end

---@class drift.process.flow_matching.params
---@field predict? "velocity"|"x0"|"eps"|"v" # what the network returns: dx/dt = x0 - eps, the data, the noise, or v = alpha eps - sigma x0 (default "velocity")
---@field t_min? number # predict = eps: where training and sampling start; the others start at 0 (default 0.01; 1e-06 to 0.5)

---x_t = t x0 + (1-t) eps: straight lines from noise to data
---@param params? drift.process.flow_matching.params
---@return drift.spec.process
function drift.process.flow_matching(params) end

---@class drift.process.ve.params
---@field sigma_min? number # sigma is geometric in t above it (default 0.01; 1e-09 to 1000000)
---@field sigma_max? number # sigma at t = 1, where sampling starts (default 50; 1e-09 to 1000000000)
---@field sigma_data? number # standard deviation of the data, for the scale of the network's input (default 0.5; 1e-06 to 1000000)
---@field eps_t? number # smallest training time (default 1e-05; 1e-09 to 0.5)
---@field predict? "eps"|"x0"|"v"|"velocity" # what the network returns: the noise, the data, v = alpha eps - sigma x0, or dx/dt (default "eps")

---The variance-exploding SDE: x0 + sigma(t) eps, sigma geometric in t
---@param params? drift.process.ve.params
---@return drift.spec.process
function drift.process.ve(params) end

---@class drift.process.vp.params
---@field beta_min? number # beta at the data (default 0.1; 1e-06 to 1000)
---@field beta_max? number # beta at pure noise (default 20; 1e-06 to 1000)
---@field eps_t? number # smallest training time (default 1e-05; 1e-09 to 0.5)
---@field predict? "eps"|"x0"|"v"|"velocity" # what the network returns: the noise, the data, v = alpha eps - sigma x0, or dx/dt (default "eps")

---The variance-preserving SDE: DDPM in continuous time
---@param params? drift.process.vp.params
---@return drift.spec.process
function drift.process.vp(params) end

---@alias drift.sampler.name "ddim"|"ddpm"|"dopri5"|"dpmpp_2m"|"dpmpp_2m_sde"|"edm"|"euler"|"euler_ancestral"|"heun"|"midpoint"|"rk4"
---@class drift.spec.sampler: drift.spec

---@class drift.kind.sampler
drift.sampler = {}

---@class drift.sampler.ddim.params
---@field steps? integer # steps from noise to data; 0: all of the process's (default 50; 0 to 1000000)
---@field eta? number # share of fresh noise: 0 none, 1 as much as ancestral sampling adds (default 0; 0 to 1)
---@field timesteps? drift.spec.timesteps|drift.timesteps.name # how the steps are laid between noise and data (default "even")

---Denoising diffusion implicit step, eta from ODE to ancestral
---@param params? drift.sampler.ddim.params
---@return drift.spec.sampler
function drift.sampler.ddim(params) end

---@class drift.sampler.ddpm.params
---@field steps? integer # steps from noise to data; 0: all of the process's (default 0; 0 to 1000000)
---@field variance? "beta"|"posterior"|"learned_range" # of the noise: beta, beta sigma_t'^2/sigma_t^2, or between them by the network's second half of channels (default "beta")
---@field clip? boolean # hold the estimate of the data within [clip_min, clip_max] (default false)
---@field clip_min? number # darkest value of the data (default 0; -1000000 to 1000000)
---@field clip_max? number # brightest value of the data (default 1; -1000000 to 1000000)
---@field timesteps? drift.spec.timesteps|drift.timesteps.name # how the steps are laid between noise and data (default "even")

---Ancestral sampling of DDPM, for any stride
---@param params? drift.sampler.ddpm.params
---@return drift.spec.sampler
function drift.sampler.ddpm(params) end

---@class drift.sampler.dopri5.params
---@field steps? integer # intervals that are walked adaptively, one after the other; 0: all of the process's (default 1; 0 to 1000000)
---@field rtol? number # error of a step that is accepted, relative to the image (default 1e-05; 1e-12 to 1)
---@field atol? number # and absolute; the two are added (default 1e-05; 1e-12 to 1)
---@field max_steps? integer # in one interval, those that were not accepted included; more are an error (default 1000; 1 to 1000000)
---@field adaptive? boolean # false: each interval is one step of the fifth-order rule, whatever its error (default true)
---@field timesteps? drift.spec.timesteps|drift.timesteps.name # how the intervals are laid between noise and data (default "even")

---Adaptive Dormand-Prince 5(4) ODE steps
---@param params? drift.sampler.dopri5.params
---@return drift.spec.sampler
function drift.sampler.dopri5(params) end

---@class drift.sampler.dpmpp_2m.params
---@field steps? integer # steps from noise to data; 0: all of the process's (default 20; 0 to 1000000)
---@field timesteps? drift.spec.timesteps|drift.timesteps.name # how the steps are laid between noise and data (default "even")

---DPM-Solver++(2M): second-order multistep in log(alpha/sigma)
---@param params? drift.sampler.dpmpp_2m.params
---@return drift.spec.sampler
function drift.sampler.dpmpp_2m(params) end

---@class drift.sampler.dpmpp_2m_sde.params
---@field steps? integer # steps from noise to data; 0: all of the process's (default 25; 0 to 1000000)
---@field eta? number # share of fresh noise: 0 is the ODE, 1 the reverse SDE (default 1; 0 to 1)
---@field timesteps? drift.spec.timesteps|drift.timesteps.name # how the steps are laid between noise and data (default "even")

---DPM-Solver++(2M) for the reverse SDE
---@param params? drift.sampler.dpmpp_2m_sde.params
---@return drift.spec.sampler
function drift.sampler.dpmpp_2m_sde(params) end

---@class drift.sampler.edm.params
---@field steps? integer # steps from noise to data, of two model calls each; 0: all of the process's (default 18; 0 to 1000000)
---@field order? integer # 1 = Euler, 2 = Heun (default 2; 1 to 2)
---@field s_churn? number # fresh noise, over all steps together; 0: an ODE (default 0; 0 to 1000000)
---@field s_tmin? number # least sigma/alpha that gets fresh noise (default 0; 0 to 1000000000)
---@field s_tmax? number # largest sigma/alpha that gets fresh noise (default 1000000000; 0 to 1000000000)
---@field s_noise? number # factor on the fresh noise (default 1; 0 to 10)
---@field timesteps? drift.spec.timesteps|drift.timesteps.name # how the steps are laid between noise and data (default "karras")

---Stochastic churn and Heun's step in sigma/alpha
---@param params? drift.sampler.edm.params
---@return drift.spec.sampler
function drift.sampler.edm(params) end

---@class drift.sampler.euler.params
---@field steps? integer # steps from noise to data; 0: all of the process's (default 50; 0 to 1000000)
---@field timesteps? drift.spec.timesteps|drift.timesteps.name # how the steps are laid between noise and data (default "even")

---Euler's ODE step
---@param params? drift.sampler.euler.params
---@return drift.spec.sampler
function drift.sampler.euler(params) end

---@class drift.sampler.euler_ancestral.params
---@field steps? integer # steps from noise to data; 0: all of the process's (default 50; 0 to 1000000)
---@field eta? number # share of fresh noise: 0 is Euler's step in sigma/alpha (default 1; 0 to 1)
---@field s_noise? number # factor on the fresh noise (default 1; 0 to 10)
---@field timesteps? drift.spec.timesteps|drift.timesteps.name # how the steps are laid between noise and data (default "even")

---Euler's step in sigma/alpha with fresh noise
---@param params? drift.sampler.euler_ancestral.params
---@return drift.spec.sampler
function drift.sampler.euler_ancestral(params) end

---@class drift.sampler.heun.params
---@field steps? integer # steps from noise to data, of two model calls each; 0: all of the process's (default 25; 0 to 1000000)
---@field order? integer # 1 = Euler, 2 = Heun; the last step is Euler where t' is singular (default 2; 1 to 2)
---@field timesteps? drift.spec.timesteps|drift.timesteps.name # how the steps are laid between noise and data (default "even")

---Heun's second-order ODE step
---@param params? drift.sampler.heun.params
---@return drift.spec.sampler
function drift.sampler.heun(params) end

---@class drift.sampler.midpoint.params
---@field steps? integer # steps from noise to data, of two model calls each; 0: all of the process's (default 25; 0 to 1000000)
---@field timesteps? drift.spec.timesteps|drift.timesteps.name # how the steps are laid between noise and data (default "even")

---Midpoint rule: second-order ODE step
---@param params? drift.sampler.midpoint.params
---@return drift.spec.sampler
function drift.sampler.midpoint(params) end

---@class drift.sampler.rk4.params
---@field steps? integer # steps from noise to data, of four model calls each; 0: all of the process's (default 12; 0 to 1000000)
---@field timesteps? drift.spec.timesteps|drift.timesteps.name # how the steps are laid between noise and data (default "even")

---Classical fourth-order Runge-Kutta step
---@param params? drift.sampler.rk4.params
---@return drift.spec.sampler
function drift.sampler.rk4(params) end

---@alias drift.schedule.name "cosine"|"custom"|"linear"|"scaled_linear"|"sigmoid"|"sigmoid_beta"
---@class drift.spec.schedule: drift.spec

---@class drift.kind.schedule
drift.schedule = {}

---@class drift.schedule.cosine.params
---@field offset? number # keeps the first betas from vanishing (default 0.008; 0 to 1)
---@field beta_max? number # cap of beta, which would reach 1 at the end (default 0.999; 1e-12 to 0.999999)

---abar follows a squared cosine
---@param params? drift.schedule.cosine.params
---@return drift.spec.schedule
function drift.schedule.cosine(params) end

---@class drift.schedule.custom.params
---@field beta? fun(a: integer, b: integer): number # beta of step i = 0..T-1 of a chain of T, between 0 and 1; required

---beta from a function of the script
---@param params? drift.schedule.custom.params
---@return drift.spec.schedule
function drift.schedule.custom(params) end

---@class drift.schedule.linear.params
---@field beta_start? number # beta of the first step, next to the data (default 0.0001; 1e-12 to 0.999)
---@field beta_end? number # beta of the last step, next to pure noise (default 0.02; 1e-12 to 0.999)

---beta rises evenly
---@param params? drift.schedule.linear.params
---@return drift.spec.schedule
function drift.schedule.linear(params) end

---@class drift.schedule.scaled_linear.params
---@field beta_start? number # beta of the first step, next to the data (default 0.00085; 1e-12 to 0.999)
---@field beta_end? number # beta of the last step, next to pure noise (default 0.012; 1e-12 to 0.999)

---The root of beta rises evenly, as in Stable Diffusion
---@param params? drift.schedule.scaled_linear.params
---@return drift.spec.schedule
function drift.schedule.scaled_linear(params) end

---@class drift.schedule.sigmoid.params
---@field start? number # where on the sigmoid the data lie (default -3; -20 to 0)
---@field end? number # where on the sigmoid pure noise lies (default 3; 0.1 to 20)
---@field tau? number # temperature: larger is closer to a line (default 1; 0.05 to 20)
---@field beta_max? number # cap of beta, which would reach 1 at the end (default 0.999; 1e-12 to 0.999999)

---abar follows a sigmoid
---@param params? drift.schedule.sigmoid.params
---@return drift.spec.schedule
function drift.schedule.sigmoid(params) end

---@class drift.schedule.sigmoid_beta.params
---@field beta_start? number # beta long before the first step (default 0.0001; 1e-12 to 0.999)
---@field beta_end? number # beta long after the last step (default 0.02; 1e-12 to 0.999)
---@field steepness? number # how much of the sigmoid the chain sees (default 6; 0 to 100)

---beta follows a sigmoid
---@param params? drift.schedule.sigmoid_beta.params
---@return drift.spec.schedule
function drift.schedule.sigmoid_beta(params) end

---@alias drift.time_sampling.name "log_normal"|"logit_normal"|"uniform"
---@class drift.spec.time_sampling: drift.spec

---@class drift.kind.time_sampling
drift.time_sampling = {}

---@class drift.time_sampling.log_normal.params
---@field P_mean? number # mean of ln(sigma/alpha) (default -1.2; -20 to 20)
---@field P_std? number # standard deviation of ln(sigma/alpha) (default 1.2; 0 to 20)

---The noise level sigma/alpha is log-normal, as in EDM
---@param params? drift.time_sampling.log_normal.params
---@return drift.spec.time_sampling
function drift.time_sampling.log_normal(params) end

---@class drift.time_sampling.logit_normal.params
---@field mean? number # of the logit of s, 0 at noise and 1 at data: positive is nearer to the data (default 0; -20 to 20)
---@field std? number # of the logit; large values train at the ends (default 1; 0 to 20)

---The logit of t is normal: mostly the middle of the way
---@param params? drift.time_sampling.logit_normal.params
---@return drift.spec.time_sampling
function drift.time_sampling.logit_normal(params) end

---@class drift.time_sampling.uniform.params

---The process's own training times: uniform in t, but for edm
---@param params? drift.time_sampling.uniform.params
---@return drift.spec.time_sampling
function drift.time_sampling.uniform(params) end

---@alias drift.timesteps.name "even"|"karras"|"leading"|"linspace"|"log_snr"|"trailing"
---@class drift.spec.timesteps: drift.spec

---@class drift.kind.timesteps
drift.timesteps = {}

---@class drift.timesteps.even.params

---Steps of equal length in the process's own time
---@param params? drift.timesteps.even.params
---@return drift.spec.timesteps
function drift.timesteps.even(params) end

---@class drift.timesteps.karras.params
---@field sigma_min? number # least noise/signal before the last step; 0: the process's own end, or its first step's, or 0.002 (default 0; 0 to 1000000)
---@field sigma_max? number # noise/signal at the first step; 0: the process's own end, or 80 where that has no signal (default 0; 0 to 1000000)
---@field rho? number # 1 spaces the levels evenly; the larger, the more steps near the data (default 7; 0.01 to 1000)

---Noise levels even in their rho-th root
---@param params? drift.timesteps.karras.params
---@return drift.spec.timesteps
function drift.timesteps.karras(params) end

---@class drift.timesteps.leading.params
---@field offset? integer # added to every t but the last (steps_offset of diffusers' configurations) (default 0; 0 to 1000000)
---@field stride? integer # steps of the chain from one t to the next; 0: floor(T/n) (default 0; 0 to 1000000)

---Every k-th step of a chain, from its first
---@param params? drift.timesteps.leading.params
---@return drift.spec.timesteps
function drift.timesteps.leading(params) end

---@class drift.timesteps.linspace.params
---@field first_step? boolean # stop at t = 1 on the way to 0, as diffusers' DDPM, DDIM, Heun and Euler do; its DPM-Solver leaves that point out (default false)

---Steps of a chain at even distances, from its last
---@param params? drift.timesteps.linspace.params
---@return drift.spec.timesteps
function drift.timesteps.linspace(params) end

---@class drift.timesteps.log_snr.params
---@field sigma_min? number # least noise/signal before the last step; 0: the process's own end, or its first step's, or 0.002 (default 0; 0 to 1000000)
---@field sigma_max? number # noise/signal at the first step; 0: the process's own end, or 80 where that has no signal (default 0; 0 to 1000000)

---Noise levels even in log(alpha/sigma)
---@param params? drift.timesteps.log_snr.params
---@return drift.spec.timesteps
function drift.timesteps.log_snr(params) end

---@class drift.timesteps.trailing.params

---Steps of a chain at even distances, from its end
---@param params? drift.timesteps.trailing.params
---@return drift.spec.timesteps
function drift.timesteps.trailing(params) end

---@alias drift.tokenizer.name "sentencepiece"|"unigram"
---@class drift.spec.tokenizer: drift.spec

---@class drift.kind.tokenizer
drift.tokenizer = {}

---@class drift.tokenizer.sentencepiece.params
---@field path? string # the model's file, spiece.model (default "")

---The vocabulary of a SentencePiece model (spiece.model)
---@param params? drift.tokenizer.sentencepiece.params
---@return drift.spec.tokenizer
function drift.tokenizer.sentencepiece(params) end

---@class drift.tokenizer.unigram.params
---@field path? string # the file, tokenizer.json (default "")

---The vocabulary of a Hugging Face tokenizer.json of Unigram type
---@param params? drift.tokenizer.unigram.params
---@return drift.spec.tokenizer
function drift.tokenizer.unigram(params) end

---@alias drift.view.name "custom"|"flip"|"identity"|"inner_circle"|"jigsaw"|"negate"|"permutation"|"rotate"
---@class drift.spec.view: drift.spec

---@class drift.kind.view
drift.view = {}

---@class drift.view.custom.params
---@field apply? fun(a: drift.tensor): drift.tensor # the image as it is seen; required
---@field invert? fun(a: drift.tensor): drift.tensor # its inverse; required
---@field invert_variance? fun(a: drift.tensor): drift.tensor # the inverse for a network's variance output

---A view from functions of the script
---@param params? drift.view.custom.params
---@return drift.spec.view
function drift.view.custom(params) end

---@class drift.view.flip.params
---@field axis? "rows"|"columns" # what comes in reverse order; rows: the image stands on its head (default "rows")

---Upside down, or mirrored
---@param params? drift.view.flip.params
---@return drift.spec.view
function drift.view.flip(params) end

---@class drift.view.identity.params

---The image as it is
---@param params? drift.view.identity.params
---@return drift.spec.view
function drift.view.identity(params) end

---@class drift.view.inner_circle.params
---@field degrees? integer # counterclockwise: 90, 180 or 270 (default 180; 90 to 270)
---@field radius? number # of the circle, as a share of the largest one that fits (default 1; 0 to 1)

---The circle in the middle turned, its surroundings as they are
---@param params? drift.view.inner_circle.params
---@return drift.spec.view
function drift.view.inner_circle(params) end

---@class drift.view.jigsaw.params
---@field pieces? integer # along each side; height and width must be multiples of it (default 4; 1 to 1024)
---@field seed? integer # of the permutation (default 0; 0 to 2.814749767e+14)

---Cut into pieces that change places at random
---@param params? drift.view.jigsaw.params
---@return drift.spec.view
function drift.view.jigsaw(params) end

---@class drift.view.negate.params
---@field about? number # the value that stays: the middle of the data's range (default 0; -1000000 to 1000000)

---The negative: light and dark change places
---@param params? drift.view.negate.params
---@return drift.spec.view
function drift.view.negate(params) end

---@class drift.view.permutation.params
---@field order? drift.tensor|number[] # [h,w] or a list of h w: where each pixel of the view comes from; this or from
---@field from? fun(a: integer, b: integer, c: integer, d: integer): integer # the same from row, column, height and width; this or order

---Pixels in any order, given as numbers or by a function
---@param params? drift.view.permutation.params
---@return drift.spec.view
function drift.view.permutation(params) end

---@class drift.view.rotate.params
---@field degrees? integer # counterclockwise: 90, 180 or 270 (default 180; 90 to 270)

---Turned by 90, 180 or 270 degrees
---@param params? drift.view.rotate.params
---@return drift.spec.view
function drift.view.rotate(params) end

---@alias drift.weighting.name "error"|"min_snr"|"p2"|"process"|"truncated_snr"|"uniform"
---@class drift.spec.weighting: drift.spec

---@class drift.kind.weighting
drift.weighting = {}

---@class drift.weighting.error.params
---@field of? "eps"|"x0"|"v"|"velocity" # whose squared error is the loss (default "eps")

---The error of eps, x0, v or the velocity, whatever is predicted
---@param params? drift.weighting.error.params
---@return drift.spec.weighting
function drift.weighting.error(params) end

---@class drift.weighting.min_snr.params
---@field gamma? number # largest weight of the data's error (default 5; 1e-06 to 1000000)

---Min-SNR-gamma: the signal-to-noise ratio, held below gamma
---@param params? drift.weighting.min_snr.params
---@return drift.spec.weighting
function drift.weighting.min_snr(params) end

---@class drift.weighting.p2.params
---@field k? number # limits the weight of pure noise (default 1; 1e-06 to 1000000)
---@field gamma? number # how much; 0: not at all (default 1; 0 to 10)

---P2: the noise's error counts less where little noise is left
---@param params? drift.weighting.p2.params
---@return drift.spec.weighting
function drift.weighting.p2(params) end

---@class drift.weighting.process.params

---The process's own weight; the default
---@param params? drift.weighting.process.params
---@return drift.spec.weighting
function drift.weighting.process(params) end

---@class drift.weighting.truncated_snr.params

---The larger of the data's and the noise's error
---@param params? drift.weighting.truncated_snr.params
---@return drift.spec.weighting
function drift.weighting.truncated_snr(params) end

---@class drift.weighting.uniform.params

---Every time counts the same
---@param params? drift.weighting.uniform.params
---@return drift.spec.weighting
function drift.weighting.uniform(params) end

---@class drift.tensor
---@field abs fun(self: drift.tensor): drift.tensor # abs(x) = |x|
---@field abs_backward fun(self: drift.tensor, dy: drift.tensor|number): drift.tensor # abs_backward(x, dy) = dy sign(x), 0 at 0
---@field adam_step fun(self: drift.tensor, param: any, grad: any, exp_avg: any, exp_avg_sq: any, ...: any): drift.tensor # adam_step({lr, step}, param, grad, exp_avg, exp_avg_sq, ...): in place
---@field add fun(self: drift.tensor, b: drift.tensor|number): drift.tensor # add(a, b) = a + b
---@field affine fun(self: drift.tensor, attributes: drift.op.affine.params|number|nil, ...: any): drift.tensor # affine(x) = scale x + shift
---@field amax fun(self: drift.tensor, attributes: drift.op.amax.params|integer[]|integer|nil, ...: any): drift.tensor # amax(x): the maximum over axes
---@field argmax fun(self: drift.tensor, attributes: drift.op.argmax.params|integer|nil): drift.tensor # argmax(x): i32 index of the first largest element along an axis
---@field assign fun(self: drift.tensor, from: drift.tensor|number): drift.tensor # assign(to, from): in place; broadcasts and converts
---@field attention fun(self: drift.tensor, k: drift.tensor|number, v: drift.tensor|number, mask: drift.tensor|number|drift.op.attention.params|nil, attributes: drift.op.attention.params|number|nil): drift.tensor # attention(q, k, v, mask): softmax(q k^T scale + mask) v; mask may be nil
---@field avg_pool2d fun(self: drift.tensor, attributes: drift.op.avg_pool2d.params|integer|nil, ...: any): drift.tensor # avg_pool2d(x): means of windows
---@field avg_pool2d_backward fun(self: drift.tensor, attributes: drift.op.avg_pool2d_backward.params|integer|nil, ...: any): drift.tensor # avg_pool2d_backward(dy) -> dx
---@field axpy fun(self: drift.tensor, y: drift.tensor|number, attributes: drift.op.axpy.params|number|nil): drift.tensor # axpy(x, y) = scale x + y
---@field batch_norm_act fun(self: drift.tensor, gamma: drift.tensor|number, beta: drift.tensor|number, attributes: drift.op.batch_norm_act.params|number|nil, ...: any): drift.tensor, drift.tensor, drift.tensor # batch_norm_act(x, gamma, beta) -> y, mean, var; var is the biased one
---@field batch_norm_act_backward fun(self: drift.tensor, gamma: drift.tensor|number, beta: drift.tensor|number, mean: drift.tensor|number, var: drift.tensor|number, dy: drift.tensor|number, attributes: drift.op.batch_norm_act_backward.params|number|nil, ...: any): drift.tensor, drift.tensor, drift.tensor # batch_norm_act_backward(x, gamma, beta, mean, var, dy) -> dx, dgamma, dbeta
---@field batch_norm_eval fun(self: drift.tensor, gamma: drift.tensor|number, beta: drift.tensor|number, running_mean: drift.tensor|number, running_var: drift.tensor|number, attributes: drift.op.batch_norm_eval.params|number|nil, ...: any): drift.tensor # batch_norm_eval(x, gamma, beta, running_mean, running_var) -> y
---@field batch_norm_update fun(self: drift.tensor, running_var: drift.tensor|number, mean: drift.tensor|number, var: drift.tensor|number, num_batches_tracked: drift.tensor|number, attributes: drift.op.batch_norm_update.params|number|nil, ...: any): drift.tensor # batch_norm_update(running_mean, running_var, mean, var, num_batches_tracked): in place
---@field cast fun(self: drift.tensor, attributes: drift.op.cast.params|"f32"|"f64"|"bf16"|"f16"|"i32"|"i64"|"u8"|"bool"|nil): drift.tensor # cast(x): the same numbers in another dtype
---@field clamp fun(self: drift.tensor, attributes: drift.op.clamp.params|number|nil, ...: any): drift.tensor # clamp(x): x brought into [min, max]
---@field clip_step fun(self: drift.tensor, grad: any, ...: any): drift.tensor # clip_step(square_norm, grad, ...): in place
---@field concat fun(self: drift.tensor, x1: any, ...: any): drift.tensor # concat(x0, x1, ...): joined along one axis
---@field conv2d fun(self: drift.tensor, weight: drift.tensor|number, bias: drift.tensor|number|drift.op.conv2d.params|nil, attributes: drift.op.conv2d.params|integer|nil, ...: any): drift.tensor # conv2d(x, weight, bias): cross-correlation; bias may be nil
---@field conv2d_act fun(self: drift.tensor, ...: any): drift.tensor # act(conv2d(x, weight, bias) + add); bias and add may be nil
---@field conv2d_backward_data fun(self: drift.tensor, weight: drift.tensor|number, attributes: drift.op.conv2d_backward_data.params|integer|nil, ...: any): drift.tensor # conv2d_backward_data(dy, weight) -> dx
---@field conv2d_backward_weight fun(self: drift.tensor, dy: drift.tensor|number, attributes: drift.op.conv2d_backward_weight.params|integer|nil, ...: any): drift.tensor, drift.tensor # conv2d_backward_weight(x, dy) -> dweight, dbias
---@field conv_transpose2d fun(self: drift.tensor, weight: drift.tensor|number, bias: drift.tensor|number|drift.op.conv_transpose2d.params|nil, attributes: drift.op.conv_transpose2d.params|integer|nil, ...: any): drift.tensor # conv_transpose2d(x, weight, bias); bias may be nil
---@field conv_transpose2d_act fun(self: drift.tensor, ...: any): drift.tensor # act(conv_transpose2d(x, weight, bias) + add); bias and add may be nil
---@field copy fun(self: drift.tensor, attributes: drift.op.copy.params|"row"|"channels_last"|nil): drift.tensor # copy(x): dense, in the memory order asked for
---@field cos fun(self: drift.tensor): drift.tensor # cos(x)
---@field cos_backward fun(self: drift.tensor, dy: drift.tensor|number): drift.tensor # cos_backward(x, dy) = -dy sin(x)
---@field cross_entropy fun(self: drift.tensor, label: drift.tensor|number): drift.tensor, drift.tensor # cross_entropy(logits, label) -> mean loss, log-probabilities
---@field cross_entropy_backward fun(self: drift.tensor, label: drift.tensor|number, dloss: drift.tensor|number): drift.tensor # cross_entropy_backward(log_probabilities, label, dloss) -> dlogits
---@field div fun(self: drift.tensor, b: drift.tensor|number): drift.tensor # div(a, b) = a / b
---@field dropout fun(self: drift.tensor, attributes: drift.op.dropout.params|number|nil, ...: any): drift.tensor # dropout(x): elements become 0 at random, the others grow by 1/(1-p)
---@field ema_step fun(self: drift.tensor, average: any, param: any, ...: any): drift.tensor # ema_step(decay, average, param, ...): in place
---@field embedding fun(self: drift.tensor, ids: drift.tensor|number): drift.tensor # embedding(weight, ids): rows of weight
---@field embedding_backward fun(self: drift.tensor, ids: drift.tensor|number, attributes: drift.op.embedding_backward.params|integer|nil): drift.tensor # embedding_backward(dy, ids): rows of dy added up by id
---@field exp fun(self: drift.tensor): drift.tensor # exp(x)
---@field exp_backward fun(self: drift.tensor, dy: drift.tensor|number): drift.tensor # exp_backward(y, dy) = dy y
---@field expand fun(self: drift.tensor, attributes: drift.op.expand.params|integer[]|integer|nil, ...: any): drift.tensor # expand(x): axes of size 1 repeated, in no memory
---@field fill fun(self: drift.tensor, attributes: drift.op.fill.params|number|nil): drift.tensor # fill(x): in place
---@field film fun(self: drift.tensor, scale: drift.tensor|number|drift.op.film.params|nil, shift: drift.tensor|number|drift.op.film.params|nil): drift.tensor # film(h, scale, shift) = scale h + shift, per sample and channel; either may be nil
---@field film_backward fun(self: drift.tensor, scale: drift.tensor|number, dy: drift.tensor|number): drift.tensor, drift.tensor, drift.tensor # film_backward(h, scale, dy) -> dh, dscale, dshift
---@field fold_batch_norm fun(self: drift.tensor, gamma: drift.tensor|number, beta: drift.tensor|number, running_mean: drift.tensor|number, running_var: drift.tensor|number, bias: drift.tensor|number|drift.op.fold_batch_norm.params|nil, attributes: drift.op.fold_batch_norm.params|number|nil, ...: any): drift.tensor, drift.tensor # fold_batch_norm(weight, gamma, beta, running_mean, running_var, bias or nil) -> weight', bias'
---@field gaussian_blur fun(self: drift.tensor, attributes: drift.op.gaussian_blur.params|integer|nil, ...: any): drift.tensor # gaussian_blur(x): a low-pass filter
---@field gelu fun(self: drift.tensor, attributes: drift.op.gelu.params|"none"|"tanh"|nil): drift.tensor # gelu(x) = x Phi(x)
---@field gelu_backward fun(self: drift.tensor, dy: drift.tensor|number, attributes: drift.op.gelu_backward.params|"none"|"tanh"|nil): drift.tensor # gelu_backward(x, dy)
---@field greater fun(self: drift.tensor, b: drift.tensor|number): drift.tensor # greater(a, b): 1 where a > b, else 0
---@field group_norm_act fun(self: drift.tensor, gamma: drift.tensor|number, beta: drift.tensor|number, attributes: drift.op.group_norm_act.params|integer|nil, ...: any): drift.tensor, drift.tensor, drift.tensor # group_norm_act(x, gamma, beta) -> y, mean, rstd
---@field group_norm_act_backward fun(self: drift.tensor, gamma: drift.tensor|number, beta: drift.tensor|number, mean: drift.tensor|number, rstd: drift.tensor|number, dy: drift.tensor|number, attributes: drift.op.group_norm_act_backward.params|integer|nil, ...: any): drift.tensor, drift.tensor, drift.tensor # group_norm_act_backward(x, gamma, beta, mean, rstd, dy) -> dx, dgamma, dbeta
---@field layer_norm fun(self: drift.tensor, gamma: drift.tensor|number|drift.op.layer_norm.params|nil, beta: drift.tensor|number|drift.op.layer_norm.params|nil, attributes: drift.op.layer_norm.params|number|nil): drift.tensor, drift.tensor, drift.tensor # layer_norm(x, gamma, beta) -> y, mean, rstd; gamma and beta may be nil
---@field layer_norm_backward fun(self: drift.tensor, mean: drift.tensor|number, rstd: drift.tensor|number, dy: drift.tensor|number, gamma: drift.tensor|number|drift.op.layer_norm_backward.params|nil, attributes: drift.op.layer_norm_backward.params|number|nil): drift.tensor, drift.tensor, drift.tensor # layer_norm_backward(x, mean, rstd, dy, gamma) -> dx, dgamma, dbeta; gamma may be nil
---@field linear fun(self: drift.tensor, weight: drift.tensor|number, bias: drift.tensor|number|drift.op.linear.params|nil): drift.tensor # linear(x, weight, bias) = x weight^T + bias over the last axis; bias may be nil
---@field log fun(self: drift.tensor): drift.tensor # log(x), natural
---@field log_backward fun(self: drift.tensor, dy: drift.tensor|number): drift.tensor # log_backward(x, dy) = dy / x
---@field matmul fun(self: drift.tensor, b: drift.tensor|number, attributes: drift.op.matmul.params|boolean|nil, ...: any): drift.tensor, drift.tensor, drift.tensor # matmul(a, b): [..,M,K] [..,K,N] -> [..,M,N]
---@field max_pool2d fun(self: drift.tensor, attributes: drift.op.max_pool2d.params|integer|nil, ...: any): drift.tensor # max_pool2d(x): maxima of windows
---@field max_pool2d_backward fun(self: drift.tensor, dy: drift.tensor|number, attributes: drift.op.max_pool2d_backward.params|integer|nil, ...: any): drift.tensor # max_pool2d_backward(x, dy) -> dx
---@field maximum fun(self: drift.tensor, b: drift.tensor|number): drift.tensor # maximum(a, b): the larger one; where they are equal, each takes half the gradient
---@field mean fun(self: drift.tensor, attributes: drift.op.mean.params|integer[]|integer|nil, ...: any): drift.tensor # mean(x) over axes
---@field minimum fun(self: drift.tensor, b: drift.tensor|number): drift.tensor # minimum(a, b): the smaller one; where they are equal, each takes half the gradient
---@field mse fun(self: drift.tensor, target: drift.tensor|number, weight: drift.tensor|number|drift.op.mse.params|nil, attributes: drift.op.mse.params|"mean"|"sum"|nil): drift.tensor # mse(pred, target, weight): weight [B] of the rows may be nil
---@field mse_backward fun(self: drift.tensor, target: drift.tensor|number, dloss: drift.tensor|number, weight: drift.tensor|number|drift.op.mse_backward.params|nil, attributes: drift.op.mse_backward.params|"mean"|"sum"|nil): drift.tensor # mse_backward(pred, target, dloss, weight) -> dpred; weight may be nil
---@field mul fun(self: drift.tensor, b: drift.tensor|number): drift.tensor # mul(a, b) = a b, element by element
---@field one_hot fun(self: drift.tensor, attributes: drift.op.one_hot.params|integer|nil): drift.tensor # one_hot(ids): 1 at each id, 0 elsewhere
---@field pad fun(self: drift.tensor, attributes: drift.op.pad.params|"constant"|"reflect"|"replicate"|nil, ...: any): drift.tensor # pad(x): elements added around x
---@field pad_backward fun(self: drift.tensor, attributes: drift.op.pad_backward.params|"constant"|"reflect"|"replicate"|nil, ...: any): drift.tensor # pad_backward(dy) -> dx; what stands for an element of x adds up there
---@field permute fun(self: drift.tensor, attributes: drift.op.permute.params|integer[]|integer|nil, ...: any): drift.tensor # permute(x): axes in another order
---@field pow fun(self: drift.tensor, attributes: drift.op.pow.params|number|nil): drift.tensor # pow(x) = x^exponent
---@field quantile fun(self: drift.tensor, attributes: drift.op.quantile.params|number|nil): drift.tensor # quantile(x): of each row x[b], linearly interpolated
---@field relu fun(self: drift.tensor): drift.tensor # relu(x) = max(x, 0)
---@field relu_backward fun(self: drift.tensor, dy: drift.tensor|number): drift.tensor # relu_backward(y, dy): dy where y > 0, else 0
---@field reshape fun(self: drift.tensor, attributes: drift.op.reshape.params|integer[]|integer|nil, ...: any): drift.tensor # reshape(x): the same elements in another shape
---@field resize fun(self: drift.tensor, attributes: drift.op.resize.params|"nearest"|"bilinear"|"bicubic"|nil, ...: any): drift.tensor # resize(x): an image of another size, not antialiased
---@field resize_backward fun(self: drift.tensor, attributes: drift.op.resize_backward.params|"nearest"|"bilinear"|"bicubic"|nil, ...: any): drift.tensor, drift.tensor # resize_backward(dy) -> dx of size height, width
---@field rms_norm fun(self: drift.tensor, weight: drift.tensor|number, attributes: drift.op.rms_norm.params|number|nil): drift.tensor # rms_norm(x, weight) = weight x / sqrt(mean(x^2) + eps)
---@field rsqrt fun(self: drift.tensor): drift.tensor # rsqrt(x) = 1 / sqrt(x)
---@field rsqrt_backward fun(self: drift.tensor, dy: drift.tensor|number): drift.tensor # rsqrt_backward(y, dy) = -dy y^3 / 2
---@field sgd_step fun(self: drift.tensor, param: any, grad: any, momentum_buffer: any, ...: any): drift.tensor # sgd_step({lr, step}, param, grad, momentum_buffer, ...): in place
---@field sigmoid fun(self: drift.tensor): drift.tensor # sigmoid(x) = 1 / (1 + exp(-x))
---@field sigmoid_backward fun(self: drift.tensor, dy: drift.tensor|number): drift.tensor # sigmoid_backward(y, dy) = dy y (1 - y)
---@field silu fun(self: drift.tensor): drift.tensor # silu(x) = x sigmoid(x)
---@field silu_backward fun(self: drift.tensor, dy: drift.tensor|number): drift.tensor # silu_backward(x, dy) = dy s (1 + x (1 - s)), s = sigmoid(x)
---@field sin fun(self: drift.tensor): drift.tensor # sin(x)
---@field sin_backward fun(self: drift.tensor, dy: drift.tensor|number): drift.tensor # sin_backward(x, dy) = dy cos(x)
---@field slice fun(self: drift.tensor, attributes: drift.op.slice.params|integer|nil, ...: any): drift.tensor # slice(x): part of one axis
---@field slice_backward fun(self: drift.tensor, attributes: drift.op.slice_backward.params|integer|nil, ...: any): drift.tensor # slice_backward(dy): dy in zeros, where the slice was
---@field softmax fun(self: drift.tensor, attributes: drift.op.softmax.params|integer|nil): drift.tensor # softmax(x) along an axis
---@field softmax_backward fun(self: drift.tensor, dy: drift.tensor|number, attributes: drift.op.softmax_backward.params|integer|nil): drift.tensor # softmax_backward(y, dy) = y (dy - sum dy y)
---@field sqrt fun(self: drift.tensor): drift.tensor # sqrt(x)
---@field sqrt_backward fun(self: drift.tensor, dy: drift.tensor|number): drift.tensor # sqrt_backward(y, dy) = dy / (2 y)
---@field square fun(self: drift.tensor): drift.tensor # square(x) = x^2
---@field square_backward fun(self: drift.tensor, dy: drift.tensor|number): drift.tensor # square_backward(x, dy) = 2 x dy
---@field square_norm fun(self: drift.tensor, ...: any): drift.tensor # square_norm(x, ...): f64, the sum of all squares
---@field sub fun(self: drift.tensor, b: drift.tensor|number): drift.tensor # sub(a, b) = a - b
---@field sum fun(self: drift.tensor, attributes: drift.op.sum.params|integer[]|integer|nil, ...: any): drift.tensor # sum(x) over axes
---@field sum_to fun(self: drift.tensor, attributes: drift.op.sum_to.params|integer[]|integer|nil, ...: any): drift.tensor # sum_to(x): x summed to a shape that broadcasts to x's
---@field tanh fun(self: drift.tensor): drift.tensor # tanh(x)
---@field tanh_backward fun(self: drift.tensor, dy: drift.tensor|number): drift.tensor # tanh_backward(y, dy) = dy (1 - y^2)
---@field timestep_embedding fun(self: drift.tensor, attributes: drift.op.timestep_embedding.params|integer|nil, ...: any): drift.tensor # timestep_embedding(t): sines and cosines of many frequencies
---@field where fun(self: drift.tensor, a: drift.tensor|number, b: drift.tensor|number): drift.tensor # where(condition, a, b): a where the condition is not 0, else b

return drift
