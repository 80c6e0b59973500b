/* clamp.cu: y = min(max(x, low), high); NaN stays NaN. */
#include "map.h"

struct clamp_between {
    float low, high;
    __device__ float of(float x) const
    {
        const float raised = x < low ? low : x;
        return raised > high ? high : raised;
    }
};

template <typename T> static void clamp(const dr_kargs *a) /* x -> y */
{
    const dr_clamp_attr *attr = (const dr_clamp_attr *)a->attr;
    map<T, 1>(a, clamp_between{ (float)attr->min, (float)attr->max });
}

DR_KERNEL(clamp, DR_F32, clamp<float>)
DR_KERNEL(clamp, DR_BF16, clamp<bf16>)
