/* affine.cu: y = scale x + shift. */
#include "map.h"

struct affine_line {
    float scale, shift;
    __device__ float of(float x) const { return scale * x + shift; }
};

template <typename T> static void affine(const dr_kargs *a) /* x -> y */
{
    const dr_affine_attr *attr = (const dr_affine_attr *)a->attr;
    map<T, 1>(a, affine_line{ (float)attr->scale, (float)attr->shift });
}

DR_KERNEL(affine, DR_F32, affine<float>)
DR_KERNEL(affine, DR_BF16, affine<bf16>)
