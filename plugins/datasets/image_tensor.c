/* image_tensor.c: one PNG or JPEG as a tensor, for scripts: lua/drift/read_image.lua is the way to call it.
 * Where the file's proportions are not those asked for: `crop` takes the largest centred part that has them, `pad`
 * shows all of the picture on white, `stretch` distorts. */
#include "image_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SIDE = 4096 };

/* All of the picture in the middle of out, white around it. */
static dr_status pad(const image_rgb *image, image_size size, float *out)
{
    const double scale = fmin((double)size.height / (double)image->height, (double)size.width / (double)image->width);
    const image_size inner = { size.channels, (int64_t)fmax(1.0, round((double)image->height * scale)),
                               (int64_t)fmax(1.0, round((double)image->width * scale)) };
    const image_box all = { .height = image->height, .width = image->width };
    const int64_t top = (size.height - inner.height) / 2, left = (size.width - inner.width) / 2;
    float *part = malloc((size_t)(inner.channels * inner.height * inner.width) * sizeof *part);
    if (!part) return dr_fail(DR_ENOMEM, "out of memory for a picture");
    const dr_status status = image_resize(image, all, inner, part);
    for (int64_t i = 0; i < size.channels * size.height * size.width; i++) out[i] = 255.0f;
    for (int64_t r = 0; r < inner.channels * inner.height && !status; r++) {
        const int64_t c = r / inner.height, y = top + r % inner.height;
        memcpy(out + (c * size.height + y) * size.width + left, part + r * inner.width,
               (size_t)inner.width * sizeof *part);
    }
    free(part);
    return status;
}

static dr_status fill(const image_rgb *image, image_size size, const char *fit, float *out)
{
    const image_box all = { .height = image->height, .width = image->width };
    if (strcmp(fit, "crop") == 0) return image_resize(image, image_centre(image, size.height, size.width), size, out);
    if (strcmp(fit, "stretch") == 0) return image_resize(image, all, size, out);
    if (strcmp(fit, "pad") == 0) return pad(image, size, out);
    return dr_fail(DR_EINVAL, "fit = \"%s\" is not crop, pad or stretch", fit);
}

/* [channels, height, width] f32 in [0,1]; height and width 0: as the file has them. */
static dr_tensor *image_tensor(const char *path, int64_t channels, int64_t height, int64_t width, const char *fit)
{
    image_rgb image;
    if ((channels != 1 && channels != 3) || height < 0 || width < 0 || height > MAX_SIDE || width > MAX_SIDE) {
        dr_fail(DR_EINVAL, "a picture of %lld channels and %lldx%lld pixels: there are 1 or 3 channels, sides up to %d",
                (long long)channels, (long long)width, (long long)height, MAX_SIDE);
        return NULL;
    }
    if (image_read(path, &image, NULL)) return NULL;
    const image_size size = { channels, height ? height : image.height, width ? width : image.width };
    const int64_t shape[] = { size.channels, size.height, size.width };
    int64_t count = 0;
    dr_tensor *result = NULL;
    float *value = dr_checked_size(path, DR_F32, 3, shape, &count, NULL) ? malloc((size_t)count * sizeof *value) : NULL;
    if (!value && !dr_failed()) dr_fail(DR_ENOMEM, "%s: out of memory for %lld values", path, (long long)count);
    if (value && fill(&image, size, fit, value) == DR_OK) {
        for (int64_t i = 0; i < count; i++) value[i] = fminf(fmaxf(value[i] / 255.0f, 0.0f), 1.0f);
        result = dr_tensor_from(DR_F32, 3, shape, value);
    }
    free(value);
    image_free(&image);
    return result;
}

/* i64 [2]: height and width of the picture as it stands, EXIF's turn included. */
static dr_tensor *image_size_of(const char *path)
{
    image_rgb image;
    if (image_read(path, &image, NULL)) return NULL;
    const int64_t sides[] = { image.height, image.width }, shape[] = { 2 };
    image_free(&image);
    return dr_tensor_from(DR_I64, 1, shape, sides);
}

DR_EXPORT(image_tensor, "tensor(string,int,int,int,string)",
          "a PNG or JPEG as [channels,height,width] in [0,1]: path, channels, height, width, fit (crop, pad, stretch)")
DR_EXPORT(image_size_of, "tensor(string)", "height and width of a PNG or JPEG, in pixels")
